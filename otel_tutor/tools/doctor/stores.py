"""Where the canary should be kept, store by store, and what else is seen there."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import httpx2

from otel_tutor.errors import StackError
from otel_tutor.tools.doctor import resolution
from otel_tutor.tools.doctor.finding import Finding
from otel_tutor.tools.stack.backends import Backends, wait_for
from otel_tutor.tools.stack.ports import LOOPBACK, Ports

__all__ = ["kept"]

_ARRIVAL: Final = 12.0  # seconds: two scrapes, two flushes of a queue
_RESENT: Final = 75.0  # seconds: Prometheus tells Alertmanager again each minute
_APART: Final = 2.0  # seconds between two clocks that nobody notices
_WATCHDOG: Final = 'ALERTS{alertname="Watchdog",alertstate="firing"}'
_TWICE: Final = 'count by (job) (http_requests_total{url_scheme!=""})'  # a label that ours never have


def kept(backends: Backends, ports: Ports, canary: Mapping[str, Any], configuration: Path) -> Iterator[Finding]:
    """Look for what the canary sent, and whether alerts get to Alertmanager."""
    trace_id = canary["trace_id"]
    selector = f'{{job="{canary["service"]}",run="{canary["run"]}"}}'
    metric = f"otel_tutor_doctor_duration_seconds_count{selector}"  # an overlay's native histograms take another way
    yield _arrives("Prometheus", lambda: backends.query(metric), "prometheus-down", lambda: _why_no_metric(backends))
    yield from _seen_in_prometheus(backends, selector, configuration)
    yield _arrives("Jaeger", lambda: backends.trace(trace_id), "jaeger-down", lambda: "traces-lost")
    if services := _twice(backends):
        yield Finding(hop="traces", cause="twice", detail=services, stops=False)
    yield _arrives("VictoriaLogs", lambda: backends.logs_of_trace(trace_id), "logs-down", lambda: "logs-lost")
    yield _arrives("rules", lambda: backends.query(_WATCHDOG), "prometheus-down", lambda: "rules")
    alerts = f"http://{LOOPBACK}:{ports['alertmanager']}/api/v2/alerts"
    patience = _patience(backends)
    yield _arrives("Alertmanager", lambda: _alerts(alerts), "alertmanager-down", lambda: "alerts-lost", patience)


def _seen_in_prometheus(backends: Backends, selector: str, configuration: Path) -> Iterator[Finding]:
    if detail := resolution.misplaced_buckets(backends, selector, configuration):
        yield Finding(hop="buckets", cause="resolution", detail=detail, stops=False)
    if detail := _clocks_apart(backends):
        yield Finding(hop="clock", cause="clock", detail=detail, stops=False)


def _clocks_apart(backends: Backends) -> str:
    """By how much this machine's clock differs from Prometheus', if by more than asking for the time explains."""
    before, started = time.time(), time.monotonic()
    (answer,) = backends.query("vector(time())")
    took = time.monotonic() - started
    ahead = before + took / 2 - answer.value
    if abs(ahead) - took / 2 <= _APART:
        return ""
    return f"this one is {abs(ahead):.0f} s {'ahead' if ahead > 0 else 'behind'}"


def _twice(backends: Backends) -> str:
    """The services whose requests are counted by somebody else as well."""
    return ", ".join(sorted(sample.labels["job"] for sample in backends.query(_TWICE)))


def _why_no_metric(backends: Backends) -> str:
    return "metrics-lost" if backends.query('up{job="app"} == 1') else "not-scraped"


def _patience(backends: Backends) -> float:
    """How long to wait for an alert: one missed as either side started comes a minute later, unless sending fails."""
    starting = backends.query(f'time() - process_start_time_seconds{{job=~"prometheus|alertmanager"}} < {_RESENT}')
    failing = backends.query("sum(prometheus_notifications_errors_total) > 0")
    return _RESENT if starting and not failing else _ARRIVAL


def _alerts(url: str) -> list[Any]:
    try:
        answer: list[Any] = httpx2.get(url, timeout=5, trust_env=False).json()
    except (httpx2.HTTPError, ValueError) as error:
        raise StackError(f"{url} does not answer ({error})") from None
    return answer


def _arrives(
    hop: str, read: Callable[[], list[Any]], down: str, lost: Callable[[], str], patience: float = _ARRIVAL
) -> Finding:
    started = time.monotonic()
    try:
        found = wait_for(read, bool, seconds=patience)
        cause = "" if found else lost()
    except StackError as error:
        return Finding(hop=hop, seconds=time.monotonic() - started, cause=down, detail=str(error).partition(":  ")[0][:120])
    return Finding(hop=hop, seconds=time.monotonic() - started, cause=cause)
