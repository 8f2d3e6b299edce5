"""The names that the Collector's Prometheus exporter makes: those of OpenTelemetry's compatibility specification.

https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
"""

import re
from collections.abc import Mapping
from typing import Final

from otel_tutor.tools.naming.metric import GAUGE, SUM

__all__ = ["family_name", "label_name"]

# UCUM units as Prometheus writes them; any other is taken as it is, one in braces is a remark and is left out.
# fmt: off
_UNITS: Final[Mapping[str, str]] = {
    "d": "days", "h": "hours", "min": "minutes", "s": "seconds",
    "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds",
    "By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes", "TiBy": "tibibytes",
    "KBy": "kilobytes", "MBy": "megabytes", "GBy": "gigabytes", "TBy": "terabytes",
    "m": "meters", "V": "volts", "A": "amperes", "J": "joules", "W": "watts", "g": "grams", "Cel": "celsius", "Hz": "hertz",
    "1": "", "%": "percent",
}
_PER: Final[Mapping[str, str]] = {
    "s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year",
}
# fmt: on


def family_name(name: str, unit: str, metric_type: int, monotonic: bool) -> str:
    """The family of a metric: words joined by underscores, the unit unless it is among them, `_total` or `_ratio`."""
    words = re.findall("[a-zA-Z0-9:]+", name)
    measured, _, interval = (part.strip() for part in unit.partition("/"))
    main, per = _written(measured, _UNITS), _written(interval, _PER, "per_").removesuffix("_")
    main, per = ("" if suffix in words else suffix for suffix in (main, per))
    words += [suffix for suffix in (main.removesuffix("_") if per else main, per) if suffix]
    if metric_type == SUM and monotonic:
        words = [*(word for word in words if word != "total"), "total"]
    if metric_type == GAUGE and unit == "1":
        words = [*(word for word in words if word != "ratio"), "ratio"]
    family = "_".join(words)
    return f"_{family}" if family[:1].isdigit() else family


def label_name(key: str) -> str:
    """The label of an attribute."""
    label = re.sub("[^a-zA-Z0-9]", "_", key)
    return f"key_{label}" if label[:1].isdigit() else label


def _written(unit: str, known: Mapping[str, str], before: str = "") -> str:
    if "{" in unit or "}" in unit or not (written := known.get(unit, unit)):
        return ""
    return re.sub("_+", "_", re.sub("[^a-zA-Z0-9:]", "_", before + written)).removeprefix("_")
