"""The way of the canary, hop by hop, and which cause it is that stops it."""

import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2

from otel_tutor.doctor.canary import NAME, send
from otel_tutor.doctor.causes import CAUSES, traps
from otel_tutor.errors import ConfigurationError, StackError
from otel_tutor.settings import Settings
from otel_tutor.stack.backends import Backends, wait_for
from otel_tutor.stack.ports import LOOPBACK, Ports

__all__ = ["Finding", "examine"]

_ARRIVAL: Final = 12.0  # seconds: two scrapes, two flushes of a queue
_WATCHDOG: Final = 'ALERTS{alertname="Watchdog",alertstate="firing"}'
_TWICE: Final = 'count by (job) (http_requests_total{url_scheme!=""})'  # a label that ours never have


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found at a hop. Without a `cause` all is well; `stops` says that nothing gets past it."""

    hop: str
    seconds: float
    cause: str = ""  # a key of CAUSES
    detail: str = ""
    stops: bool = True

    @property
    def line(self) -> str:
        """What is wrong and what to do about it."""
        known = CAUSES[self.cause]
        return f"{known.cause}{f' ({self.detail})' if self.detail else ''}: {known.remedy}"


def examine(ports: Ports, environ: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Follow a canary until the first hop that it does not get past; then end."""
    for finding in _hops(ports, environ):
        yield finding
        if finding.cause and finding.stops:
            return


def _hops(ports: Ports, environ: Mapping[str, str]) -> Iterator[Finding]:
    try:
        endpoint = Settings.read(environ=environ).endpoint
    except ConfigurationError as error:
        yield Finding(hop="settings", seconds=0, cause="refused", detail=str(error))
        return
    url = urlsplit(endpoint)
    host, port = url.hostname or LOOPBACK, url.port or 4317
    stops, hurts = traps(environ, host)
    yield from (Finding(hop="settings", seconds=0, cause=cause, stops=False) for cause in hurts)
    yield from (Finding(hop="settings", seconds=0, cause=cause) for cause in stops)
    yield Finding(hop="settings", seconds=0)
    yield _endpoint(host, port, ports)
    canary = send(environ)
    yield _sent(canary)
    with Backends(ports) as backends:
        yield from _kept(backends, ports, canary)


def _endpoint(host: str, port: int, ports: Ports) -> Finding:
    started = time.monotonic()
    try:
        socket.create_connection((host, port), timeout=3).close()
    except OSError:
        detail = f"{host}:{port}" + (f"; this stack's Collector is at {ports['otlp']}" if port != ports["otlp"] else "")
        return Finding(hop="OTLP endpoint", seconds=time.monotonic() - started, cause="no-listener", detail=detail)
    return Finding(hop="OTLP endpoint", seconds=time.monotonic() - started)


def _sent(canary: Mapping[str, Any]) -> Finding:
    hop, said = "SDK to Collector", canary["said"]
    if refused := canary.get("refused"):
        return Finding(hop=hop, seconds=0, cause="refused", detail=refused)
    if "telemetry is not getting through" not in said:
        return Finding(hop=hop, seconds=canary["seconds"])
    for sign, cause in (
        ("UNAUTHENTICATED", "unauthenticated"),
        ("PERMISSION_DENIED", "unauthenticated"),
        ("SSL", "tls"),
        ("handshake", "tls"),
        ("certificate", "tls"),
        ("Socket closed", "tls"),
    ):
        if sign in said:
            return Finding(hop=hop, seconds=canary["seconds"], cause=cause)
    return Finding(hop=hop, seconds=canary["seconds"], cause="not-collector")


def _kept(backends: Backends, ports: Ports, canary: Mapping[str, Any]) -> Iterator[Finding]:
    trace_id = canary["trace_id"]
    metric = f'process_uptime_seconds{{job="{NAME}"}}'
    yield _arrives("Prometheus", lambda: backends.query(metric), "prometheus-down", lambda: _why_no_metric(backends))
    yield _arrives("Jaeger", lambda: backends.trace(trace_id), "jaeger-down", lambda: "traces-lost")
    if services := _twice(backends):
        yield Finding(hop="traces", seconds=0, cause="twice", detail=services, stops=False)
    yield _arrives("VictoriaLogs", lambda: backends.logs_of_trace(trace_id), "logs-down", lambda: "logs-lost")
    yield _arrives("rules", lambda: backends.query(_WATCHDOG), "prometheus-down", lambda: "rules")
    alerts = f"http://{LOOPBACK}:{ports['alertmanager']}/api/v2/alerts"
    yield _arrives("Alertmanager", lambda: _alerts(alerts), "alertmanager-down", lambda: "alerts-lost")


def _twice(backends: Backends) -> str:
    """The services whose requests are counted by somebody else as well."""
    return ", ".join(sorted(sample.labels["job"] for sample in backends.query(_TWICE)))


def _why_no_metric(backends: Backends) -> str:
    return "metrics-lost" if backends.query('up{job="app"} == 1') else "not-scraped"


def _alerts(url: str) -> list[Any]:
    try:
        answer: list[Any] = httpx2.get(url, timeout=5, trust_env=False).json()
    except (httpx2.HTTPError, ValueError) as error:
        raise StackError(f"{url} does not answer ({error})") from None
    return answer


def _arrives(hop: str, read: Callable[[], list[Any]], down: str, lost: Callable[[], str]) -> Finding:
    started = time.monotonic()
    try:
        found = wait_for(read, bool, seconds=_ARRIVAL)
        cause = "" if found else lost()
    except StackError as error:
        return Finding(hop=hop, seconds=time.monotonic() - started, cause=down, detail=str(error).partition(":  ")[0][:120])
    return Finding(hop=hop, seconds=time.monotonic() - started, cause=cause)
