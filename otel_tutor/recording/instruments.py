"""Catalogue rows made into live instruments, and values made fit to be their attributes."""

import functools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from opentelemetry import metrics
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Observation

from otel_tutor import catalogue
from otel_tutor.catalogue import Attribute, Instrument, Kind
from otel_tutor.recording.guard import attempt
from otel_tutor.recording.state import state

__all__ = [
    "OTHER",
    "Labels",
    "add",
    "counter",
    "histogram",
    "labels",
    "limit_cardinality",
    "observe",
    "observe_overflow",
    "record",
    "recorder",
    "set_recorder_factory",
    "valid_measurement",
    "valid_utf8",
]

OTHER: Final = "_OTHER"  # what semantic conventions call a value outside the known ones
UNKNOWN: Final = "unknown"
_LARGEST_INTEGER: Final = 2**53  # as a float from there on: one integer that OTLP's 64 bits cannot hold fails every export
_LONGEST_LABEL: Final = 100  # characters; longer is free text, which is no label

Labels = Mapping[str, str | int | bool]


Recorder = Callable[[float, Labels, Context | None], None]


def _meter() -> metrics.Meter:
    return metrics.get_meter("otel_tutor")


def histogram(row: Instrument) -> Histogram:
    """The live histogram of a row. Made before `configure()`, it records nothing until then."""
    live: Histogram | None = state.histograms.get(row.name)
    if live is None:
        live = state.histograms[row.name] = _meter().create_histogram(row.name, unit=row.unit, description=row.description)
    return live


def recorder(row: Instrument) -> Recorder:
    """What records in the histogram of a row: value, labels, and the context of its exemplar or None for the current one."""
    record_fn: Recorder | None = state.recorders.get(row.name)
    if record_fn is None:
        record_fn = state.recorders[row.name] = state.make_recorder(histogram(row))
    return record_fn


def set_recorder_factory(make_recorder: Callable[[Histogram], Recorder]) -> None:
    """Have histograms recorded in by what `make_recorder` returns from now on; `configure()` calls this once."""
    state.make_recorder = make_recorder
    state.recorders.clear()
    state.histograms.clear()  # those of before `configure()` only pass on to live ones


def counter(row: Instrument) -> Counter:
    """The live counter of a row. Made before `configure()`, it records nothing until then."""
    live: Counter | None = state.counters.get(row.name)
    if live is None:
        live = state.counters[row.name] = _meter().create_counter(row.name, unit=row.unit, description=row.description)
    return live


def observe(row: Instrument, read: Callable[[], Iterable[tuple[float, Labels]]]) -> None:
    """Have `read` called at every export for the values of an observable row."""

    def callback(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(value, dict(labels)) for value, labels in read()]

    create = {
        Kind.OBSERVABLE_COUNTER: _meter().create_observable_counter,
        Kind.OBSERVABLE_GAUGE: _meter().create_observable_gauge,
        Kind.OBSERVABLE_UP_DOWN_COUNTER: _meter().create_observable_up_down_counter,
    }[row.kind]
    create(row.name, [callback], unit=row.unit, description=row.description)


def limit_cardinality(attribute: Attribute, value: object) -> str:
    """`value` as a label: text, never long, and `_OTHER` once the attribute has all the values it may have."""
    text = value if isinstance(value, str) else UNKNOWN if value is None else attempt(str, value) or UNKNOWN
    values = state.label_values[attribute.key]
    if text in values:
        return text
    text = valid_utf8(text.strip()) or UNKNOWN
    if len(text) > _LONGEST_LABEL or (text not in values and len(values) >= state.limits[attribute.key]):
        state.overflow[attribute.key] += 1
        return OTHER
    values.add(text)
    return text


def labels(*values: tuple[Attribute, object]) -> Labels:
    """Values as labels of one measurement. The same values give the same mapping again, which must not be changed."""
    return _mapping(tuple([(attribute.key, limit_cardinality(attribute, value)) for attribute, value in values]))


@functools.lru_cache(maxsize=4096)  # the mappings in use; their number is limited with their values
def _mapping(pairs: tuple[tuple[str, str], ...]) -> Labels:
    return dict(pairs)


def observe_overflow() -> None:
    """Count the values that were recorded as `_OTHER` at every export, zeros included; `configure()` calls this once."""

    def read() -> Iterable[tuple[float, Labels]]:
        return [(count, {catalogue.ATTRIBUTE_KEY.key: key}) for key, count in state.overflow.items()]

    observe(catalogue.OVERFLOW, read)


def valid_utf8(text: str) -> str:
    """`text` with lone surrogates replaced: one of them, left by a cut JSON escape, fails the export of a whole batch."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def valid_measurement(value: object) -> float | None:
    """`value` as a measurement, or None when it is not a finite number at or above zero."""
    if not isinstance(value, (int, float)):
        return None
    try:
        number = float(value) if abs(value) > _LARGEST_INTEGER else value
    except OverflowError:  # an int beyond every float
        return None
    return number if math.isfinite(number) and number >= 0 else None


def record(row: Instrument, value: object, labels: Labels) -> None:
    """Record a value in the histogram of a row; what is no measurement is left out. A failure is logged, not raised."""
    attempt(_record, row, value, labels)


def _record(row: Instrument, value: object, labels: Labels) -> None:
    number = valid_measurement(value)
    if number is not None:
        recorder(row)(number, labels, None)


def add(row: Instrument, value: object, labels: Labels) -> None:
    """Add a value to the counter of a row; what is no measurement is left out. A failure is logged, not raised."""
    attempt(_add, row, value, labels)


def _add(row: Instrument, value: object, labels: Labels) -> None:
    number = valid_measurement(value)
    if number is not None:
        counter(row).add(number, labels)
