"""Whether the canary is in each backend, and what else shows there."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import httpx2

from otel_tutor.errors import StackError
from otel_tutor.tools.doctor.finding import Cause, Finding, Symptom, by_key
from otel_tutor.tools.doctor.resolution import misplaced_buckets
from otel_tutor.tools.stack.backends import Backends
from otel_tutor.tools.stack.polling import wait_for
from otel_tutor.tools.stack.ports import LOOPBACK, Ports

__all__ = ["CAUSES", "check_backends"]

# fmt: off
CAUSES: Final = by_key(
    Cause("prometheus-down", Symptom.NO_METRICS, "Prometheus does not answer", "see `otel-tutor status`, then `otel-tutor logs prometheus`"),
    Cause("not-scraped", Symptom.NO_METRICS, "Prometheus does not reach the Collector's page of metrics", "check that collector/backends/targets/app.yaml names it; see `otel-tutor logs collector`"),
    Cause("metrics-lost", Symptom.NO_METRICS, "the Collector received the metrics, but Prometheus does not have them", "see `otel-tutor logs collector`: a statement of naming.yaml or an exporter fails"),
    Cause("jaeger-down", Symptom.NO_TRACES, "Jaeger does not answer", "see `otel-tutor status`, then `otel-tutor logs jaeger`; the Collector keeps what Jaeger misses"),
    Cause("traces-lost", Symptom.NO_TRACES, "the Collector received the trace, but Jaeger does not have it", "see `otel-tutor logs collector`: the exporter otlp_grpc/jaeger fails; with the overlay tail-sampling the trace may have been left out"),
    Cause("logs-down", Symptom.NO_LOGS, "VictoriaLogs does not answer", "see `otel-tutor status`, then `otel-tutor logs victorialogs`; the Collector keeps what VictoriaLogs misses"),
    Cause("logs-lost", Symptom.NO_LOGS, "the Collector received the line, but VictoriaLogs does not have it", "see `otel-tutor logs collector`: the exporter otlp_http/victorialogs fails"),
    Cause("rules", Symptom.NO_NOTIFICATIONS, "Prometheus evaluates no rules", "run `otel-tutor config check`: alerts/rules/ is missing, or a file in it is not valid"),
    Cause("alertmanager-down", Symptom.NO_NOTIFICATIONS, "Alertmanager does not answer", "see `otel-tutor status`, then `otel-tutor logs alertmanager`"),
    Cause("alerts-lost", Symptom.NO_NOTIFICATIONS, "Prometheus fires alerts, but Alertmanager has none", "check that collector/backends/targets/alertmanager.yaml names it"),
    Cause("resolution", Symptom.WRONG_BUCKET, "Prometheus has a measurement in another bucket than naming.yaml defines", "check that each list in naming.yaml starts with 0.0, and that the app uses the opentelemetry-sdk version that otel-tutor pins"),
    Cause("clock", Symptom.WRONG_TIME, "the clocks of this machine and of the stack differ", "run an NTP client on both, e.g. chrony"),
)
# fmt: on
_ARRIVAL: Final = 12.0  # seconds: two scrapes, two flushes of a queue
_RESENT: Final = 75.0  # seconds: Prometheus sends each alert to Alertmanager again every minute
_APART: Final = 2.0  # seconds between two clocks that have no visible effect
_WATCHDOG: Final = 'ALERTS{alertname="Watchdog",alertstate="firing"}'


def check_backends(backends: Backends, ports: Ports, canary: Mapping[str, Any], configuration: Path) -> Iterator[Finding]:
    """Look for what the canary sent, and whether alerts reach Alertmanager."""
    trace_id = canary["trace_id"]
    selector = f'{{job="{canary["service"]}",run="{canary["run"]}"}}'
    metric = f"otel_tutor_doctor_duration_seconds_count{selector}"  # an overlay's native histograms take another way
    yield _arrives("Prometheus", lambda: backends.query(metric), "prometheus-down", lambda: _why_no_metric(backends))
    yield from _seen_in_prometheus(backends, selector, configuration)
    yield _arrives("Jaeger", lambda: backends.trace(trace_id), "jaeger-down", lambda: "traces-lost")
    yield _arrives("VictoriaLogs", lambda: backends.logs_of_trace(trace_id), "logs-down", lambda: "logs-lost")
    yield _arrives("rules", lambda: backends.query(_WATCHDOG), "prometheus-down", lambda: "rules")
    alerts = f"http://{LOOPBACK}:{ports['alertmanager']}/api/v2/alerts"
    patience = _patience(backends)
    yield _arrives("Alertmanager", lambda: _alerts(alerts), "alertmanager-down", lambda: "alerts-lost", patience)


def _seen_in_prometheus(backends: Backends, selector: str, configuration: Path) -> Iterator[Finding]:
    if detail := misplaced_buckets(backends, selector, configuration):
        yield Finding(hop="buckets", cause=CAUSES["resolution"], detail=detail, stops=False)
    if detail := _clocks_apart(backends):
        yield Finding(hop="clock", cause=CAUSES["clock"], detail=detail, stops=False)


def _clocks_apart(backends: Backends) -> str:
    """By how much this machine's clock differs from Prometheus', if by more than the time of the query explains."""
    before, started = time.time(), time.monotonic()
    (answer,) = backends.query("vector(time())")
    took = time.monotonic() - started
    ahead = before + took / 2 - answer.value
    if abs(ahead) - took / 2 <= _APART:
        return ""
    return f"this machine is {abs(ahead):.0f} s {'ahead' if ahead > 0 else 'behind'}"


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
    """What is found at a backend within the time; `down` and `lost` are keys of the causes it may otherwise be."""
    started = time.monotonic()
    try:
        cause = None if wait_for(read, bool, seconds=patience) else CAUSES[lost()]
    except StackError as error:
        detail = str(error).partition(": see ")[0][:120]  # the cause has its own remedy
        return Finding(hop=hop, seconds=time.monotonic() - started, cause=CAUSES[down], detail=detail)
    return Finding(hop=hop, seconds=time.monotonic() - started, cause=cause)
