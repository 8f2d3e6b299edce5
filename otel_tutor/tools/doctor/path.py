"""The way of the canary, hop by hop, and the cause that stops it."""

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
from otel_tutor.tools.doctor.collector import CollectorCounters
from otel_tutor.tools.doctor.finding import Cause, Finding, Symptom, by_key
from otel_tutor.tools.doctor.settings import check_settings
from otel_tutor.tools.doctor.stores import check_backends
from otel_tutor.tools.stack.backends import Backends
from otel_tutor.tools.stack.ports import LOOPBACK, Ports

__all__ = ["CAUSES", "examine"]

# fmt: off
CAUSES: Final = by_key(
    Cause("refused", Symptom.NOTHING, "configure() refuses a setting", "fix the setting that it names"),
    Cause("no-listener", Symptom.NOTHING, "no program listens at the OTLP endpoint", "run `otel-tutor up`, or set OTEL_EXPORTER_OTLP_ENDPOINT to the Collector's address"),
    Cause("not-collector", Symptom.NOTHING, "the program at the OTLP endpoint does not accept OTLP in this protocol", "set OTEL_EXPORTER_OTLP_ENDPOINT to the Collector's port, by default 4317 for gRPC and 4318 for HTTP"),
    Cause("unauthenticated", Symptom.NOTHING, "the Collector requires a bearer token, and the app sent another one or none", "set OTEL_EXPORTER_OTLP_HEADERS to a token of the Collector's token file"),
    Cause("app", Symptom.NOTHING, "the app cannot be imported", "fix the error, or name the app as uvicorn does, MODULE:NAME, in the folder that contains MODULE"),
    Cause("guest", Symptom.NO_METRICS, "another library has set OpenTelemetry's providers before configure()", "call otel_tutor.configure() before it where what cannot be joined matters"),
    Cause("tls", Symptom.NOTHING, "only one end uses TLS, or one end does not trust the other's certificate", "use https:// in the endpoint for TLS, http:// without; set OTEL_EXPORTER_OTLP_CERTIFICATE for a private authority"),
    Cause("loggers", Symptom.NO_LOGS, "loggers are disabled", "call logging.config with disable_existing_loggers=False, or before the loggers are made"),
)
# fmt: on
_NAMED: Final = 5  # loggers; the rest is a number
_SIGNS: Final = (  # in what the SDK logs
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
        yield Finding(hop="settings", cause=CAUSES["refused"], detail=str(error))
        return
    yield from check_settings(environ, urlsplit(endpoint).hostname or LOOPBACK)
    yield Finding(hop="settings")
    counters = CollectorCounters(ports)
    if app:  # it may use another endpoint than the environment's
        canary = send(environ, app)
        yield from _app(canary)
        yield _endpoint(canary["endpoint"], ports)
    else:
        yield _endpoint(endpoint, ports)
        canary = send(environ)
    yield from _sent(canary, counters)
    with Backends(ports) as backends:
        yield from check_backends(backends, ports, canary, configuration)


def _app(canary: Mapping[str, Any]) -> Iterator[Finding]:
    if reason := canary.get("unimportable"):
        yield Finding(hop="app", cause=CAUSES["app"], detail=reason)
    if reason := canary.get("refused"):
        yield Finding(hop="app", cause=CAUSES["refused"], detail=reason)
    yield Finding(hop="app", seconds=canary["imported"])
    if loggers := canary["unheard"]:
        more = f" and {len(loggers) - _NAMED} more" if len(loggers) > _NAMED else ""
        yield Finding(hop="app", cause=CAUSES["loggers"], detail=", ".join(loggers[:_NAMED]) + more, stops=False)
    if guest := canary.get("guest"):
        yield Finding(hop="app", cause=CAUSES["guest"], detail=guest, stops=False)


def _endpoint(endpoint: str, ports: Ports) -> Finding:
    started, url = time.monotonic(), urlsplit(endpoint)
    host, port = url.hostname or LOOPBACK, url.port or 4317
    try:
        socket.create_connection((host, port), timeout=3).close()
    except OSError:
        detail = f"{host}:{port}"
        if port not in {ports["otlp"], ports["otlp-http"]}:
            detail += f"; this stack's Collector is at {ports['otlp']}"
        took = time.monotonic() - started
        return Finding(hop="OTLP endpoint", seconds=took, cause=CAUSES["no-listener"], detail=detail)
    return Finding(hop="OTLP endpoint", seconds=time.monotonic() - started)


def _sent(canary: Mapping[str, Any], counters: CollectorCounters) -> Iterator[Finding]:
    hop, output = "SDK to Collector", canary["output"]
    if refused := canary.get("refused"):
        yield Finding(hop=hop, cause=CAUSES["refused"], detail=refused)
        return
    sent = Finding(hop=hop, seconds=canary["seconds"])
    if EXPORT_FAILING in output and not counters.refused():
        key = next((key for sign, key in _SIGNS if sign in output), "not-collector")
        yield replace(sent, cause=CAUSES[key])
    yield sent
    yield from counters.findings()
