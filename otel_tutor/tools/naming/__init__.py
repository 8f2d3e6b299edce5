"""What the Collector's files make of the catalogue: the Prometheus families of every instrument, without a Collector.

The files are the Collector's: none of their statements is refused here. What is understood is applied as the Collector does.
Anything else leaves the families that it may touch uninterpreted: they carry the reason, and what else is known of them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from otel_tutor.catalogue import CATALOGUE, Instrument
from otel_tutor.naming import Series
from otel_tutor.tools.naming.exporter import family_name, label_name
from otel_tutor.tools.naming.files import find_route, kind_of, read_collector, section
from otel_tutor.tools.naming.groups import apply, read_groups
from otel_tutor.tools.naming.metric import GAUGE, HISTOGRAM, SUM, Metric, metric_type

__all__ = ["Family", "read_naming"]

# Processors that leave names, labels and buckets as they are.
_NEUTRAL: Final = frozenset({"batch", "interval", "memory_limiter", "redaction", "resource", "resourcedetection"})
# Options of the exporter on which names or labels depend, and the values that this package knows the names of.
_OPTIONS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "namespace": lambda value: not value,
    "const_labels": lambda value: not value,
    "add_metric_suffixes": lambda value: value is None or value is True,
    "translation_strategy": lambda value: value in {None, "", "UnderscoreEscapingWithSuffixes"},
    "resource_to_telemetry_conversion": lambda value: not (isinstance(value, Mapping) and value.get("enabled")),
    "without_scope_info": lambda value: value is True,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Family(Series):
    """A series as the files make it.

    `listed` are the bounds that the list in the files has, which with a mistake in it are not those that arrive.
    `uninterpreted` says what in the files may make it different from this; empty for nothing.
    """

    listed: tuple[float, ...]
    uninterpreted: str


def read_naming(configuration: Path, rows: Sequence[Instrument] = CATALOGUE) -> list[Family]:
    """Every family that comes out of these instruments, in their order; `configuration` is the folder with `collector/`.

    Overlays are left out. Raises ConfigurationError for a file that is missing or is no YAML.
    """
    files = read_collector(configuration / "collector")
    metrics, route = [_sent(row) for row in rows], find_route(files)
    if not route.is_certain:
        metrics = _uncertain(metrics, "config.yaml: no single way leads from the receiver otlp to the exporter prometheus")
    for processor in route.processors:
        metrics = _processed(processor, section(files, "processors", processor), metrics)
    options = section(files, "exporters", route.exporter)
    if changed := [name for name, is_known in _OPTIONS.items() if not is_known(options.get(name))]:
        metrics = _uncertain(metrics, f"the option {changed[0]} of the exporter {route.exporter} is not interpreted")
    order = {row.name: place for place, row in enumerate(rows)}
    return _joined([_family(metric) for metric in sorted(metrics, key=lambda metric: order[metric.instrument])])


def _joined(families: Sequence[Family]) -> list[Family]:
    """One family for each name; where the metrics that become it differ, what arrives is not known."""
    joined: dict[str, Family] = {}
    for family in families:
        first = joined.setdefault(family.name, family)
        if replace(family, instrument=first.instrument, keys=first.keys) != first:
            reason = f"{first.instrument} and {family.instrument} become one family and differ"
            joined[family.name] = replace(first, uninterpreted=first.uninterpreted or reason)
    return list(joined.values())


def _sent(row: Instrument) -> Metric:
    kind, monotonic = metric_type(row.kind)
    attributes = tuple((attribute.key, attribute.key) for attribute in row.attributes)
    return Metric(
        instrument=row.name,
        name=row.name,
        description=row.description,
        unit=row.unit,
        type=kind,
        monotonic=monotonic,
        attributes=attributes,
    )


def _processed(processor: str, definition: Mapping[str, Any], metrics: list[Metric]) -> list[Metric]:
    if kind_of(processor) in _NEUTRAL:
        return metrics
    if kind_of(processor) != "transform":
        return _uncertain(metrics, f"the processor {processor} is not interpreted")
    for group in read_groups(definition, lambda text: f"{getattr(text, 'place', processor)}, {text}"):
        metrics = apply(group, metrics)
    return metrics


def _uncertain(metrics: Sequence[Metric], reason: str) -> list[Metric]:
    return [replace(metric, uninterpreted=metric.uninterpreted or reason) for metric in metrics]


def _family(metric: Metric) -> Family:
    labels = sorted({label_name(key): origin for key, origin in metric.attributes}.items())
    kinds = {SUM: "counter" if metric.monotonic else "gauge", GAUGE: "gauge"}
    return Family(
        name=family_name(metric.name, metric.unit, metric.type, metric.monotonic),
        type=kinds.get(metric.type, "histogram"),
        unit=metric.unit,
        labels=tuple(label for label, _ in labels),
        keys=tuple(origin for _, origin in labels),
        buckets=metric.bounds if metric.type == HISTOGRAM else (),
        meaning=metric.description,
        instrument=metric.instrument,
        listed=metric.listed,
        uninterpreted=metric.uninterpreted,
    )
