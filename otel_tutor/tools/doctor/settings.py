"""What the app's environment alone shows: variables that stop telemetry, and others that do harm."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from otel_tutor.tools.doctor.finding import Cause, Finding, Symptom, by_key

__all__ = ["CAUSES", "check_settings"]

_LONGEST_TIMEOUT: Final = 300  # seconds; a higher number was meant as milliseconds
_LONGEST_INTERVAL: Final = 15_000  # milliseconds; four points in the minute that APIDown looks at


@dataclass(frozen=True, slots=True)
class _Environment:
    """The variables, and the Collector's host."""

    variables: Mapping[str, str]
    host: str

    def value(self, name: str) -> str:
        return self.variables.get(name, "").strip().lower()


@dataclass(frozen=True, slots=True)
class _Check:
    """A variable, when it is wrong, and the cause that it then is. One that does not stop anything is a note."""

    variable: str
    is_wrong: Callable[[str, _Environment], bool]
    cause: Cause
    stops: bool = True


def _is_none(value: str, _: _Environment) -> bool:
    return value == "none"


def _is_proxy(value: str, environment: _Environment) -> bool:
    """A proxy that the Collector's host is not excepted from."""
    exceptions = environment.value("no_grpc_proxy") or environment.value("no_proxy")
    return bool(value) and not {environment.host.lower(), "*"} & {name.strip() for name in exceptions.split(",")}


def _drops_all(value: str, environment: _Environment) -> bool:
    if value.endswith("traceidratio"):
        return _number(environment.value("OTEL_TRACES_SAMPLER_ARG")) == 0
    return value.endswith("always_off")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _above(limit: float) -> Callable[[str, _Environment], bool]:
    return lambda value, _: (_number(value) or 0) > limit


# fmt: off
_PROXY: Final = Cause("proxy", Symptom.NOTHING, "a proxy is set, and the Collector's host is not in no_proxy", "add the host to no_proxy")
_CHECKS: Final = (
    _Check("OTEL_EXPORTER_OTLP_TIMEOUT", _above(_LONGEST_TIMEOUT), Cause("timeout", Symptom.SLOW_END, "OTEL_EXPORTER_OTLP_TIMEOUT is in seconds here, not in milliseconds", "set it to 10, the default"), stops=False),
    _Check("OTEL_METRIC_EXPORT_INTERVAL", _above(_LONGEST_INTERVAL), Cause("interval", Symptom.NO_METRICS, "OTEL_METRIC_EXPORT_INTERVAL is above 15 s: rates over a minute are empty, and APIDown fires", "set it to 15000 or less"), stops=False),
    _Check("OTEL_RESOURCE_ATTRIBUTES", lambda value, _: "service.instance.id=" in value, Cause("instance", Symptom.JUMPS, "service.instance.id is set in OTEL_RESOURCE_ATTRIBUTES, so all workers share one series", "leave it out: each worker then has its own"), stops=False),
    _Check("OTEL_SDK_DISABLED", lambda value, _: value == "true", Cause("disabled", Symptom.NOTHING, "OTEL_SDK_DISABLED is true, so nothing is measured", "unset it")),
    _Check("OTEL_METRICS_EXPORTER", _is_none, Cause("no-metrics-exporter", Symptom.NO_METRICS, "OTEL_METRICS_EXPORTER is none", "unset it")),
    _Check("OTEL_TRACES_EXPORTER", _is_none, Cause("no-traces-exporter", Symptom.NO_TRACES, "OTEL_TRACES_EXPORTER is none", "unset it")),
    _Check("OTEL_LOGS_EXPORTER", _is_none, Cause("no-logs-exporter", Symptom.NO_LOGS, "OTEL_LOGS_EXPORTER is none", "unset it")),
    _Check("OTEL_TRACES_SAMPLER", _drops_all, Cause("sampler", Symptom.NO_TRACES, "OTEL_TRACES_SAMPLER drops every trace", "unset it, or set OTEL_TRACES_SAMPLER_ARG to a share above 0")),
    _Check("grpc_proxy", _is_proxy, _PROXY),
    _Check("https_proxy", _is_proxy, _PROXY),
    _Check("http_proxy", _is_proxy, _PROXY),
)
# fmt: on
CAUSES: Final = by_key(*(check.cause for check in _CHECKS))


def check_settings(variables: Mapping[str, str], host: str) -> Iterator[Finding]:
    """What is wrong with the variables of an app that sends to this host: the notes first, then what stops everything."""
    environment, reported = _Environment(variables, host), set[str]()
    for check in _CHECKS:
        if check.cause.key not in reported and check.is_wrong(environment.value(check.variable), environment):
            reported.add(check.cause.key)
            yield Finding(hop="settings", cause=check.cause, stops=check.stops)
