"""What `collector/naming.yaml` makes of the catalogue: the Prometheus series of every instrument, without a Collector.

It follows the statements that file uses and refuses any other, so that what is said of a series is what the file says.
That the Collector agrees is for the tests on the real stack to show.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import yaml

from otel_tutor.catalogue import CATALOGUE, Instrument, Kind
from otel_tutor.errors import ConfigurationError

__all__ = ["Series", "read_naming"]

_TYPES: Final = {
    Kind.COUNTER: "counter",
    Kind.HISTOGRAM: "histogram",
    Kind.OBSERVABLE_COUNTER: "counter",
    Kind.OBSERVABLE_GAUGE: "gauge",
    Kind.OBSERVABLE_UP_DOWN_COUNTER: "gauge",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A family in Prometheus: name, type, UCUM unit, labels, bucket bounds if it has them, meaning, and where it is from."""

    name: str
    type: str
    unit: str
    labels: tuple[str, ...]
    keys: tuple[str, ...]  # the attribute that each label was
    buckets: tuple[float, ...]
    meaning: str
    instrument: str  # its OpenTelemetry name in the catalogue
    line: int  # of naming.yaml, where it gets its name


def read_naming(path: Path) -> Sequence[Series]:
    """Every series that comes out of the catalogue, in its order.

    Raises ConfigurationError for a statement that is not understood here, naming its line.
    """
    text = path.read_text(encoding="utf-8")
    series = [_of_row(row) for row in CATALOGUE]
    try:
        groups = yaml.safe_load(text)["processors"]["transform/naming"]["metric_statements"]
    except (KeyError, TypeError):
        raise ConfigurationError(
            f"{path} has no processors: transform/naming: metric_statements: merge nothing else into that file"
        ) from None
    for group in groups:
        if any("unconverted" in condition for condition in group.get("conditions", ())):
            continue  # a repair's own account; nothing of the catalogue is meant
        for statement in group["statements"]:
            line = text[: text.index(statement)].count("\n") + 1
            series = _apply(statement, group.get("conditions", ()), series, line)
    return [_finished(one) for one in series]


def _of_row(row: Instrument) -> Series:
    keys = tuple(attribute.key for attribute in row.attributes)
    unit, kind = row.unit, _TYPES[row.kind]
    origin = {"meaning": row.description, "instrument": row.name}
    return Series(name=row.name, type=kind, unit=unit, labels=keys, keys=keys, buckets=(), line=0, **origin)


def _finished(one: Series) -> Series:
    name = one.name.replace(".", "_")  # as the exporter writes it, which also ends a counter in _total
    if one.type == "counter":
        name = name.removesuffix("_total") + "_total"
    pairs = sorted(zip((label.replace(".", "_") for label in one.labels), one.keys, strict=True))
    return replace(one, name=name, labels=tuple(label for label, _ in pairs), keys=tuple(key for _, key in pairs))


def _apply(statement: str, conditions: Sequence[str], series: list[Series], line: int) -> list[Series]:
    body, _, where = statement.partition(" where ")
    for pattern, change in _STATEMENTS.items():
        if found := re.fullmatch(pattern, body):
            chosen = [one for one in series if _is_meant(one, [*conditions, *([where] if where else [])])]
            made = {id(one): change(one, found, line) for one in chosen}
            return [new for one in series for new in made.get(id(one), [one])]
    raise ConfigurationError(f"naming.yaml line {line}: {statement!r} is not a statement that is used there: see its others")


def _is_meant(one: Series, conditions: Sequence[str]) -> bool:
    for condition in conditions:
        if named := re.fullmatch(r'metric\.name == "(.+)"', condition):
            if one.name != named[1]:
                return False
        elif condition == "metric.type == METRIC_DATA_TYPE_EXPONENTIAL_HISTOGRAM":
            if one.type != "histogram" or one.buckets:
                return False
        elif "metric.name" in condition or "Len(" in condition:  # values of labels, repairs: no name depends on them
            return False
    return True


def _convert(one: Series, found: re.Match[str], _: int) -> list[Series]:
    bounds = tuple(float(bound) for bound in found[1].split(","))
    return [replace(one, buckets=bounds[1:])]


def _copy(one: Series, found: re.Match[str], line: int) -> list[Series]:
    return [one, replace(one, name=found[1], line=line)]


def _count(one: Series, found: re.Match[str], line: int) -> list[Series]:
    return [one, replace(one, name=one.name + found[1], type="counter", unit="1", buckets=(), line=line)]


def _keep(one: Series, found: re.Match[str], _: int) -> list[Series]:
    kept = tuple(re.findall('"([^"]+)"', found[1]))
    return [replace(one, labels=kept, keys=kept)]


def _rename_labels(one: Series, found: re.Match[str], _: int) -> list[Series]:
    pattern, new = found[1].replace(r"\\", "\\"), found[2].replace("$$1", r"\1")
    return [replace(one, labels=tuple(re.sub(pattern, new, label) for label in one.labels))]


Change = Callable[[Series, "re.Match[str]", int], list[Series]]
_STATEMENTS: Final[Mapping[str, Change]] = {
    r'set\(metric\.name, "(.+)"\)': lambda one, found, line: [replace(one, name=found[1], line=line)],
    r'set\(metric\.description, "(.+)"\)': lambda one, found, _: [replace(one, meaning=found[1])],
    r'convert_exponential_histogram_to_histogram\("midpoint", \[(.+)\]\)': _convert,
    r'copy_metric\(name="(.+)"\)': _copy,
    r'extract_count_metric\(true, "\.unconverted"\)': lambda one, *_: [one],
    r'extract_count_metric\(true, "(.+)"\)': _count,
    r'aggregate_on_attributes\("sum", \[(.*)\]\)': _keep,
    r'replace_all_patterns\(datapoint\.attributes, "key", "(.+)", "(.+)"\)': _rename_labels,
    r'set\(datapoint\.attributes\["http\.route"\], "unmatched"\)': lambda one, *_: [one],
    r"delete_index\(datapoint\.explicit_bounds, 0\)": lambda one, *_: [one],
}
