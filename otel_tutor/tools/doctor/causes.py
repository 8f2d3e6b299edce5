"""What keeps telemetry from arriving, and what to do about it: the doctor's answers, and README's troubleshooting.

    python -m otel_tutor.tools.doctor.causes

prints them as README's table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["CAUSES", "Cause", "render", "traps"]


@dataclass(frozen=True, slots=True)
class Cause:
    """A symptom as a user has it, why, and the way out."""

    symptom: str
    cause: str
    remedy: str


_NOTHING: Final = "Nothing arrives"
_NO_METRICS: Final = "Prometheus shows no metrics"
_NO_TRACES: Final = "Jaeger shows no traces"
_NO_LOGS: Final = "VictoriaLogs shows no lines"
_NO_ALERTS: Final = "No alert is ever heard"

# fmt: off
CAUSES: Final[Mapping[str, Cause]] = {
    "disabled": Cause(_NOTHING, "OTEL_SDK_DISABLED is true: nothing is measured", "unset it"),
    "refused": Cause(_NOTHING, "configure() refuses a setting", "mend what it names"),
    "proxy": Cause(_NOTHING, "a proxy is set, and the Collector's host is not in no_proxy", "add the host to no_proxy"),
    "no-listener": Cause(_NOTHING, "nobody listens where OTLP is sent to", "`otel-tutor up`, or set OTEL_EXPORTER_OTLP_ENDPOINT to where the Collector is"),
    "not-collector": Cause(_NOTHING, "who listens there does not take OTLP over gRPC", "set OTEL_EXPORTER_OTLP_ENDPOINT to the Collector's gRPC port, 4317 if it was not moved"),
    "unauthenticated": Cause(_NOTHING, "the Collector wants a bearer token, and another one or none was sent", "set OTEL_EXPORTER_OTLP_HEADERS to a token of its file"),
    "app": Cause(_NOTHING, "the app cannot be imported", "mend that, or name it as uvicorn does, MODULE:NAME, in the folder that MODULE is found from"),
    "tls": Cause(_NOTHING, "one end speaks TLS and the other does not, or does not trust its certificate", "https:// in the endpoint for TLS, http:// without; OTEL_EXPORTER_OTLP_CERTIFICATE for an authority of your own"),
    "refuses": Cause(_NOTHING, "the Collector refuses what it is sent", "`otel-tutor logs collector`: where memory_limiter says so, raise its limit_mib, or send less"),
    "elsewhere": Cause(_NOTHING, "this stack's Collector was not sent the canary: another one took it", "set OTEL_EXPORTER_OTLP_ENDPOINT to this stack's Collector, or have that one send here"),
    "held": Cause(_NOTHING, "the Collector took it and cannot hand it on to a backend", "`otel-tutor logs collector` says why; what can be sent again waits in its queue on disk"),
    "no-metrics-exporter": Cause(_NO_METRICS, "OTEL_METRICS_EXPORTER is none", "unset it"),
    "prometheus-down": Cause(_NO_METRICS, "Prometheus does not answer", "`otel-tutor status`, then the end of `otel-tutor logs prometheus`"),
    "not-scraped": Cause(_NO_METRICS, "Prometheus does not reach the Collector's page of metrics", "see that collector/backends/targets/app.yaml names it, and `otel-tutor logs collector`"),
    "metrics-lost": Cause(_NO_METRICS, "the Collector took the metrics and Prometheus has not got them", "`otel-tutor logs collector`: a statement of naming.yaml, or an exporter, says why"),
    "interval": Cause(_NO_METRICS, "OTEL_METRIC_EXPORT_INTERVAL is above 15 s: rates over a minute are empty, and APIDown fires", "15000 or less"),
    "no-traces-exporter": Cause(_NO_TRACES, "OTEL_TRACES_EXPORTER is none", "unset it"),
    "sampler": Cause(_NO_TRACES, "OTEL_TRACES_SAMPLER drops every trace", "unset it, or give it a share above 0"),
    "jaeger-down": Cause(_NO_TRACES, "Jaeger does not answer", "`otel-tutor status`, then `otel-tutor logs jaeger`; the Collector keeps what it misses"),
    "traces-lost": Cause(_NO_TRACES, "the Collector took the trace and Jaeger has not got it", "`otel-tutor logs collector`: the exporter otlp_grpc/jaeger says why; with the overlay tail-sampling it may be left out"),
    "no-logs-exporter": Cause(_NO_LOGS, "OTEL_LOGS_EXPORTER is none", "unset it"),
    "logs-down": Cause(_NO_LOGS, "VictoriaLogs does not answer", "`otel-tutor status`, then `otel-tutor logs victorialogs`; the Collector keeps what it misses"),
    "logs-lost": Cause(_NO_LOGS, "the Collector took the line and VictoriaLogs has not got it", "`otel-tutor logs collector`: the exporter otlp_http/victorialogs says why"),
    "loggers": Cause(_NO_LOGS, "loggers that do not propagate, and have no handler of OpenTelemetry's", "set their propagate to True, or add OpenTelemetry's LoggingHandler to them; a call of configure() after the app's logging is set up helps uvicorn's and gunicorn's"),
    "rules": Cause(_NO_ALERTS, "Prometheus evaluates no rules", "`otel-tutor config check`: alerts/rules/ is missing, or a file of it is not valid"),
    "alertmanager-down": Cause(_NO_ALERTS, "Alertmanager does not answer", "`otel-tutor status`, then `otel-tutor logs alertmanager`"),
    "alerts-lost": Cause(_NO_ALERTS, "Prometheus fires alerts and Alertmanager has none", "see that collector/backends/targets/alertmanager.yaml names it"),
    "timeout": Cause("The app takes minutes to end", "OTEL_EXPORTER_OTLP_TIMEOUT is in seconds here, not in milliseconds", "10, the default"),
    "instance": Cause("Counters jump up and down", "service.instance.id is set in OTEL_RESOURCE_ATTRIBUTES: workers share one series", "leave it out: each worker gets its own"),
    "twice": Cause("Every request is there twice", "another instrumentation counts and traces each request as well", "take it off: configure(app) does what FastAPIInstrumentor or OpenTelemetryMiddleware would"),
    "resolution": Cause("A duration is in the wrong bucket", "a measurement came back from Prometheus in another bucket than naming.yaml has for it", "see that each list in naming.yaml starts with 0.0, and that the app runs with the opentelemetry-sdk that otel-tutor pins"),
    "clock": Cause("Spans nest wrongly, log lines and exemplars are at other times", "this machine's clock and the stack's differ", "run an NTP client on both, e.g. chrony"),
    "grafana": Cause("Grafana cannot reach Prometheus", "its data source names localhost, which in a container is the container", "http://prometheus:9090, as dashboards/provisioning has it"),
}
# fmt: on

_LONGEST_TIMEOUT: Final = 300  # seconds; who writes more means milliseconds
_LONGEST_INTERVAL: Final = 15_000  # milliseconds; four points in the minute that APIDown looks at
_NONE: Final = {"OTEL_METRICS_EXPORTER": "metrics", "OTEL_TRACES_EXPORTER": "traces", "OTEL_LOGS_EXPORTER": "logs"}


def traps(environ: Mapping[str, str], host: str) -> tuple[list[str], list[str]]:
    """Keys of the causes that the settings alone give away: those that stop something, and those that only hurt."""

    def value(name: str) -> str:
        return environ.get(name, "").strip().lower()

    stops = ["disabled"] if value("OTEL_SDK_DISABLED") == "true" else []
    stops += [f"no-{signal}-exporter" for name, signal in _NONE.items() if value(name) == "none"]
    sampler, share = value("OTEL_TRACES_SAMPLER"), value("OTEL_TRACES_SAMPLER_ARG")
    if sampler.endswith("always_off") or (sampler.endswith("traceidratio") and _number(share) == 0):
        stops.append("sampler")
    proxies = [name for name in ("grpc_proxy", "https_proxy", "http_proxy") if environ.get(name)]
    excepted = [one.strip() for one in (environ.get("no_grpc_proxy") or environ.get("no_proxy", "")).split(",")]
    if proxies and host not in excepted and "*" not in excepted:
        stops.append("proxy")
    hurts = ["timeout"] if (_number(value("OTEL_EXPORTER_OTLP_TIMEOUT")) or 0) > _LONGEST_TIMEOUT else []
    hurts += ["interval"] if (_number(value("OTEL_METRIC_EXPORT_INTERVAL")) or 0) > _LONGEST_INTERVAL else []
    hurts += ["instance"] if "service.instance.id=" in value("OTEL_RESOURCE_ATTRIBUTES") else []
    return stops, hurts


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def render() -> str:
    """The causes as a Markdown table."""
    rows = [f"| {one.symptom} | {one.cause} | {one.remedy} |" for one in CAUSES.values()]
    return "\n".join(["| what you see | why | what to do |", "|---|---|---|", *rows])


if __name__ == "__main__":
    print(render())  # noqa: T201
