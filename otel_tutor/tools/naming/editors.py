"""What the functions of a statement do to a metric.

Each takes the metric as it is and returns it as it is afterwards, followed by the metrics that it adds. A function raises
NotUnderstoodError where the outcome is not known here, and StatementFailsError where the Collector reports an error.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from otel_tutor.tools.naming.metric import EXPONENTIAL, GAUGE, HISTOGRAM, SUM, Metric, Unknown, compiled, evaluate
from otel_tutor.tools.naming.tree import Call, NotUnderstoodError, Path, StatementFailsError, Value

__all__ = ["METRIC_ONLY", "edit"]

_TEXTS: Final = {"metric.name": "name", "metric.description": "description", "metric.unit": "unit"}
# Fields on which no name, label or bucket depends.
_BESIDE: Final = re.compile(
    r"(resource|scope|instrumentation_scope|exemplar|otelcol)\b"
    r"|metric\.(cache|metadata)|datapoint\.(cache|value_double|value_int|time|start_time|time_unix_nano|start_time_unix_nano"
    r"|flags|count|sum|exemplars|zero_count|scale|positive\b.*|negative\b.*|quantile_values)$"
)
_HISTOGRAMS: Final = (HISTOGRAM, EXPONENTIAL)


class _Arguments:
    """The arguments of a call for one metric, by position or by name."""

    def __init__(self, call: Call, metric: Metric, names: Sequence[str]) -> None:
        self._given: dict[str, Value] = dict(zip(names, call.arguments, strict=False)) | dict(call.named)
        self._metric = metric
        if len(call.arguments) > len(names) or not self._given.keys() <= set(names):
            raise NotUnderstoodError(f"an argument of {call.function} is not interpreted")

    def __contains__(self, name: str) -> bool:
        return name in self._given

    def path(self, name: str) -> Path:
        """A field, by itself."""
        value = self._given.get(name)
        if not isinstance(value, Path):
            raise NotUnderstoodError("its target is not interpreted")
        return value

    def value(self, name: str, default: object = None) -> object:
        """A value that is known. Raises NotUnderstoodError for one that is not."""
        value = evaluate(self._given[name], self._metric) if name in self._given else default
        if isinstance(value, Unknown):
            raise NotUnderstoodError("it sets what is not known before there are data")
        return value

    def text(self, name: str, default: str = "") -> str:
        """A text that is known."""
        value = self.value(name, default)
        if not isinstance(value, str):
            raise NotUnderstoodError(f"{value!r} is no text")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts that are known."""
        value = self.value(name, ())
        if not isinstance(value, tuple) or not all(isinstance(element, str) for element in value):
            raise NotUnderstoodError(f"{name} is not a list of texts that are known")
        return value


def edit(call: Call, metric: Metric) -> list[Metric]:
    """The metric after a function was applied, followed by what the function has added.

    Raises NotUnderstoodError and StatementFailsError.
    """
    target = call.arguments[0] if call.arguments else dict(call.named).get("target")
    if isinstance(target, Path) and _BESIDE.match(target.name):
        return [metric]
    if call.function not in _EDITORS:
        raise NotUnderstoodError(f"the function {call.function} is not interpreted")
    function, names = _EDITORS[call.function]
    return function(metric, _Arguments(call, metric, names))


def _same(metric: Metric, _: _Arguments) -> list[Metric]:
    return [metric]


def _values(metric: Metric, arguments: _Arguments) -> list[Metric]:
    if arguments.path("target").name != "datapoint.attributes":
        raise NotUnderstoodError(f"what it does to {arguments.path('target').name} is not interpreted")
    return [metric]


def _set(metric: Metric, arguments: _Arguments) -> list[Metric]:
    target = arguments.path("target")
    if target.name == "datapoint.attributes" and target.keys:
        return [metric if target.keys[0] in metric.keys else _added(metric, target, arguments)]
    value = arguments.value("value")
    if target.name in _TEXTS and not target.keys:
        return [_with_text(metric, _TEXTS[target.name], value) if isinstance(value, str) else metric]
    if target.name == "metric.is_monotonic" and isinstance(value, bool):
        return [replace(metric, monotonic=value) if metric.type == SUM else metric]
    raise NotUnderstoodError(f"setting {target.name} is not interpreted")


def _with_text(metric: Metric, field: str, text: str) -> Metric:
    changes: dict[str, Any] = {field: text}
    return replace(metric, **changes)


def _added(metric: Metric, target: Path, arguments: _Arguments) -> Metric:
    if arguments.value("value") is None or len(target.keys) > 1:  # an attribute that is not there has no inside
        return metric
    return replace(metric, attributes=(*metric.attributes, (target.keys[0], "")))


def _replace_pattern(metric: Metric, arguments: _Arguments) -> list[Metric]:
    target = arguments.path("target")
    if target.name == "datapoint.attributes" and target.keys:
        return [metric]  # a value
    if target.name not in _TEXTS or target.keys or "function" in arguments:
        raise NotUnderstoodError(f"replacing in {target.name} is not interpreted")
    field = _TEXTS[target.name]
    pattern, template = compiled(arguments.text("regex_pattern")), arguments.text("replacement")
    return [_with_text(metric, field, _replaced(pattern, template, getattr(metric, field)))]


def _replace_keys(metric: Metric, arguments: _Arguments) -> list[Metric]:
    _require_attributes(arguments)
    if arguments.text("mode") == "value":
        return [metric]
    if "function" in arguments:
        raise NotUnderstoodError("replacing by a function is not interpreted")
    pattern, template = compiled(arguments.text("regex_pattern")), arguments.text("replacement")
    return [_with_keys(metric, {key: _replaced(pattern, template, key) for key in metric.keys})]


def _replaced(pattern: re.Pattern[str], template: str, text: str) -> str:
    """As Go replaces: `$1` and `${name}` are groups, one that there is not is empty, and a name is as long as it can be."""

    def expand(match: re.Match[str]) -> str:
        def group(reference: re.Match[str]) -> str:
            name = reference[1] or reference[2]
            if not name:
                return "$"
            known = int(name) <= (pattern.groups) if name.isdecimal() else name in pattern.groupindex
            return (match[int(name) if name.isdecimal() else name] or "") if known else ""

        return re.sub(r"\$(?:(\w+)|\{(\w+)\}|\$)", group, template, flags=re.ASCII)

    return pattern.sub(expand, text)


def _delete_key(metric: Metric, arguments: _Arguments) -> list[Metric]:
    _require_attributes(arguments)
    return [_without(metric, {arguments.text("key")})]


def _delete_matching(metric: Metric, arguments: _Arguments) -> list[Metric]:
    _require_attributes(arguments)
    pattern = compiled(arguments.text("pattern"))
    return [_without(metric, {key for key in metric.keys if pattern.search(key)})]


def _keep(metric: Metric, arguments: _Arguments) -> list[Metric]:
    _require_attributes(arguments)
    return [_without(metric, {*metric.keys} - {*arguments.texts("keys")})]


def _keep_matching(metric: Metric, arguments: _Arguments) -> list[Metric]:
    _require_attributes(arguments)
    pattern = compiled(arguments.text("pattern"))
    return [_without(metric, {key for key in metric.keys if not pattern.search(key)})]


def _require_attributes(arguments: _Arguments) -> None:
    target = arguments.path("target")
    if target.name != "datapoint.attributes" or target.keys:
        raise NotUnderstoodError(f"{target.name} is not interpreted")


def _aggregate(metric: Metric, arguments: _Arguments) -> list[Metric]:
    return [_without(metric, {*metric.keys} - {*arguments.texts("attributes")}) if "attributes" in arguments else metric]


def _without(metric: Metric, keys: set[str]) -> Metric:
    return replace(metric, attributes=tuple(pair for pair in metric.attributes if pair[0] not in keys))


def _with_keys(metric: Metric, names: Mapping[str, str]) -> Metric:
    renamed = {names[key]: (names[key], origin) for key, origin in metric.attributes}
    return replace(metric, attributes=tuple(renamed.values()))


def _convert(metric: Metric, arguments: _Arguments) -> list[Metric]:
    if metric.type != EXPONENTIAL:
        return [metric]
    value = arguments.value("explicit_bounds")
    if not isinstance(value, tuple) or not all(isinstance(bound, int | float) for bound in value):
        raise NotUnderstoodError("its bounds are not numbers that are known")
    bounds = tuple(float(bound) for bound in value)
    # As many counts as bounds, up to Collector 0.164: the last entry of naming.yaml says more.
    return [replace(metric, type=HISTOGRAM, bounds=bounds, counts=len(bounds), listed=bounds)]


def _delete_index(metric: Metric, arguments: _Arguments) -> list[Metric]:
    start = arguments.value("start_index")
    end = arguments.value("end_index", start + 1 if isinstance(start, int) else None)
    if (
        arguments.path("target") != Path("datapoint.explicit_bounds")
        or not isinstance(start, int)
        or not isinstance(end, int)
    ):
        raise NotUnderstoodError("what it deletes is not interpreted")
    if metric.type != HISTOGRAM or not 0 <= start < len(metric.bounds) or not start <= end <= len(metric.bounds):
        raise StatementFailsError("there is no such bound")
    return [replace(metric, bounds=metric.bounds[:start] + metric.bounds[end:])]


def _copy(metric: Metric, arguments: _Arguments) -> list[Metric]:
    changes: dict[str, Any] = {
        field: arguments.text(field) for field in ("name", "description", "unit") if field in arguments
    }
    return [metric, replace(metric, **changes)]


def _extract_count(metric: Metric, arguments: _Arguments) -> list[Metric]:
    return _extracted(metric, arguments, "_count", unit="1")


def _extract_sum(metric: Metric, arguments: _Arguments) -> list[Metric]:
    return _extracted(metric, arguments, "_sum", unit=metric.unit)


def _extracted(metric: Metric, arguments: _Arguments, suffix: str, unit: str) -> list[Metric]:
    if metric.type not in _HISTOGRAMS:
        raise StatementFailsError("the metric is no histogram")
    monotonic = arguments.value("monotonic") is True
    name = metric.name + arguments.text("suffix", suffix)
    added = replace(metric, name=name, unit=unit, type=SUM, monotonic=monotonic, bounds=(), counts=0, listed=())
    return [metric, added]


def _scale(metric: Metric, arguments: _Arguments) -> list[Metric]:
    if metric.type == EXPONENTIAL:
        raise StatementFailsError("an exponential histogram cannot be scaled")
    if metric.type == HISTOGRAM:
        raise NotUnderstoodError("what scaling makes of buckets is not interpreted")
    return [replace(metric, unit=arguments.text("unit", metric.unit))]


def _to_gauge(metric: Metric, _: _Arguments) -> list[Metric]:
    return [replace(metric, type=GAUGE, monotonic=False) if metric.type == SUM else metric]


def _to_sum(metric: Metric, arguments: _Arguments) -> list[Metric]:
    if metric.type != GAUGE:
        return [metric]
    if arguments.value("string_agg_temp") != "cumulative":
        raise NotUnderstoodError("what the exporter makes of a delta is not interpreted")
    return [replace(metric, type=SUM, monotonic=arguments.value("monotonic") is True)]


_Editor = Callable[[Metric, _Arguments], list[Metric]]
_REGEX: Final = ("regex_pattern", "replacement", "function", "replacement_format")
# Functions that only exist for a metric as a whole.
METRIC_ONLY: Final[Mapping[str, tuple[_Editor, tuple[str, ...]]]] = {
    "aggregate_on_attribute_value": (_same, ("aggregation_function", "attribute", "values", "new_value")),
    "aggregate_on_attributes": (_aggregate, ("aggregation_function", "attributes")),
    "convert_exponential_histogram_to_histogram": (_convert, ("distribution_fn", "explicit_bounds")),
    "convert_gauge_to_sum": (_to_sum, ("string_agg_temp", "monotonic")),
    "convert_sum_to_gauge": (_to_gauge, ()),
    "copy_metric": (_copy, ("name", "description", "unit")),
    "extract_count_metric": (_extract_count, ("monotonic", "suffix")),
    "extract_sum_metric": (_extract_sum, ("monotonic", "suffix")),
    "scale_metric": (_scale, ("multiplier", "unit")),
}
_EDITORS: Final[Mapping[str, tuple[_Editor, tuple[str, ...]]]] = {
    **METRIC_ONLY,
    "delete_index": (_delete_index, ("target", "start_index", "end_index")),
    "delete_key": (_delete_key, ("target", "key")),
    "delete_matching_keys": (_delete_matching, ("target", "pattern")),
    "keep_keys": (_keep, ("target", "keys")),
    "keep_matching_keys": (_keep_matching, ("target", "pattern")),
    "replace_all_matches": (_values, ("target", "pattern", "replacement", "function", "replacement_format")),
    "replace_all_patterns": (_replace_keys, ("target", "mode", *_REGEX)),
    "replace_match": (_values, ("target", "pattern", "replacement", "function", "replacement_format")),
    "replace_pattern": (_replace_pattern, ("target", *_REGEX)),
    "set": (_set, ("target", "value")),
    "truncate_all": (_values, ("target", "limit", "utf8_safe", "truncation_marker")),
}
