"""The way of the canary, hop by hop, and which cause it is that stops it."""

import os
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from otel_tutor.errors import ConfigurationError
from otel_tutor.recording.guard import EXPORT_FAILING
from otel_tutor.settings import Settings, shipped_config_dir
from otel_tutor.tools.doctor.canary import send
from otel_tutor.tools.doctor.causes import traps
from otel_tutor.tools.doctor.collector import Account
from otel_tutor.tools.doctor.finding import Finding
from otel_tutor.tools.doctor.stores import kept
from otel_tutor.tools.stack.backends import Backends
from otel_tutor.tools.stack.ports import LOOPBACK, Ports

__all__ = ["examine"]

_NAMED: Final = 5  # loggers; the rest is a number
_SIGNS: Final = (  # in what the SDK says
    ("UNAUTHENTICATED", "unauthenticated"),
    ("PERMISSION_DENIED", "unauthenticated"),
    ("SSL", "tls"),
    ("handshake", "tls"),
    ("certificate", "tls"),
    ("Socket closed", "tls"),
)


def examine(
    ports: Ports, environ: Mapping[str, str] = os.environ, *, app: str = "", configuration: Path | None = None
) -> Iterator[Finding]:
    """Follow a canary until the first hop that it does not get past; then end.

    `app`, as MODULE:NAME, is imported where the canary is sent from; `configuration` is what the stack runs with.
    """
    for finding in _hops(ports, environ, app, configuration or shipped_config_dir()):
        yield finding
        if finding.cause and finding.stops:
            return


def _hops(ports: Ports, environ: Mapping[str, str], app: str, configuration: Path) -> Iterator[Finding]:
    try:
        endpoint = Settings.read(environ=environ).endpoint
    except ConfigurationError as error:
        yield Finding(hop="settings", cause="refused", detail=str(error))
        return
    stops, hurts = traps(environ, urlsplit(endpoint).hostname or LOOPBACK)
    yield from (Finding(hop="settings", cause=cause, stops=False) for cause in hurts)
    yield from (Finding(hop="settings", cause=cause) for cause in stops)
    yield Finding(hop="settings")
    account = Account(ports)
    if app:  # it may know another endpoint than the environment
        canary = send(environ, app)
        yield from _app(canary)
        yield _endpoint(canary["endpoint"], ports)
    else:
        yield _endpoint(endpoint, ports)
        canary = send(environ)
    yield from _sent(canary, account)
    with Backends(ports) as backends:
        yield from kept(backends, ports, canary, configuration)


def _app(canary: Mapping[str, Any]) -> Iterator[Finding]:
    if why := canary.get("unimportable"):
        yield Finding(hop="app", cause="app", detail=why)
    if why := canary.get("refused"):
        yield Finding(hop="app", cause="refused", detail=why)
    yield Finding(hop="app", seconds=canary["imported"])
    if unheard := canary["unheard"]:
        more = f" and {len(unheard) - _NAMED} more" if len(unheard) > _NAMED else ""
        yield Finding(hop="app", cause="loggers", detail=", ".join(unheard[:_NAMED]) + more, stops=False)
    if canary["twice"]:
        yield Finding(hop="app", cause="twice", stops=False)


def _endpoint(endpoint: str, ports: Ports) -> Finding:
    started, url = time.monotonic(), urlsplit(endpoint)
    host, port = url.hostname or LOOPBACK, url.port or 4317
    try:
        socket.create_connection((host, port), timeout=3).close()
    except OSError:
        detail = f"{host}:{port}" + (f"; this stack's Collector is at {ports['otlp']}" if port != ports["otlp"] else "")
        return Finding(hop="OTLP endpoint", seconds=time.monotonic() - started, cause="no-listener", detail=detail)
    return Finding(hop="OTLP endpoint", seconds=time.monotonic() - started)


def _sent(canary: Mapping[str, Any], account: Account) -> Iterator[Finding]:
    hop, said = "SDK to Collector", canary["said"]
    if refused := canary.get("refused"):
        yield Finding(hop=hop, cause="refused", detail=refused)
        return
    sent = Finding(hop=hop, seconds=canary["seconds"])
    if EXPORT_FAILING in said and not account.refused():
        yield replace(sent, cause=next((cause for sign, cause in _SIGNS if sign in said), "not-collector"))
    yield sent
    yield from account.findings()
