"""Catalogue rows made into live instruments, and values made fit to be their measurements and attributes."""

import functools
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from opentelemetry import context, metrics
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Observation

from otel_tutor import catalogue
from otel_tutor.catalogue import Attribute, Instrument, Kind
from otel_tutor.recording.guard import attempt, log_internal_error
from otel_tutor.recording.reentry import apart, catch_up
from otel_tutor.recording.state import state
from otel_tutor.recording.values import UNKNOWN, to_number, to_text, valid_utf8

__all__ = [
    "OTHER",
    "SUCCESS",
    "Labels",
    "add",
    "count_attempt",
    "counter",
    "histogram",
    "labels",
    "limit_cardinality",
    "measurement",
    "observe",
    "observe_overflow",
    "record",
    "recorder",
    "set_recorder_factory",
]

OTHER: Final = "_OTHER"  # what semantic conventions call a value outside the known ones
SUCCESS: Final = "success"
_LONGEST_LABEL: Final = 100  # characters; longer is free text, which is no label
# Of a histogram, which has a fixed number of buckets: one value far beyond the others widens them until the process ends.
# Nothing that is measured here is larger (30,000 years, a trillion tokens), and what is smaller (a nanosecond) is 0.
_LARGEST: Final = 1e12
_SMALLEST: Final = 1e-9

_log: Final = logging.getLogger("otel_tutor")

Labels = Mapping[str, str | int | bool]


Recorder = Callable[[float, Labels, Context | None], None]


def _meter() -> metrics.Meter:
    return (state.meter_provider or metrics.get_meter_provider()).get_meter("otel_tutor")


def histogram(row: Instrument) -> Histogram:
    """The live histogram of a row. Made before `configure()`, it records nothing until then."""
    live: Histogram | None = state.histograms.get(row.name)
    if live is None:
        live = state.histograms[row.name] = _meter().create_histogram(row.name, unit=row.unit, description=row.description)
    return live


def recorder(row: Instrument) -> Recorder:
    """What records in the histogram of a row, or adds to its counter.

    Its arguments are a value, labels, and the context of the exemplar, or None for the current one.
    """
    record_fn: Recorder | None = state.recorders.get(row.name)
    return functools.partial(_record_first, row) if record_fn is None else record_fn


def _record_first(row: Instrument, value: float, labels: Labels, within: Context | None) -> None:
    """Make the instrument, which takes locks, and record in it."""
    inside = within or context.get_current()

    def make_and_record() -> None:
        if row.name not in state.recorders:
            live = counter(row) if row.kind is Kind.COUNTER else histogram(row)
            state.recorders[row.name] = state.make_recorder(live)
        state.recorders[row.name](value, labels, inside)

    apart(make_and_record)


def set_recorder_factory(make_recorder: Callable[[Any], Recorder]) -> None:
    """Have what `make_recorder` returns record in instruments from now on; `configure()` calls this once."""
    state.make_recorder = make_recorder
    state.recorders.clear()
    state.counters.clear()
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
    text = value if type(value) is str else to_text(value) or UNKNOWN
    values = state.label_values[attribute.key]
    if text in values:
        return text
    text = valid_utf8(text.strip()) or UNKNOWN
    known = text in values or text in attribute.reserved
    if len(text) > _LONGEST_LABEL or (not known and len(values) >= state.limits[attribute.key]):
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
        catch_up()  # with what a signal handler has put off, before the instruments are read
        return [(count, {catalogue.ATTRIBUTE_KEY.key: key}) for key, count in state.overflow.items()]

    observe(catalogue.OVERFLOW, read)


def measurement(row: Instrument, value: object) -> float | None:
    """`value` as a measurement of a row; None for what cannot be one, which is counted by instrument and logged once."""
    number = to_number(value)
    if number is None or (number > _LARGEST and row.kind is Kind.HISTOGRAM):
        attempt(_count_invalid, row, value)
        return None
    return number if number >= _SMALLEST else 0.0


def _count_invalid(row: Instrument, value: object) -> None:
    of_instrument = labels((catalogue.INSTRUMENT, row.name))
    recorder(catalogue.INVALID)(1, of_instrument, None)
    mark = object()
    if state.invalid_logged.setdefault(of_instrument[catalogue.INSTRUMENT.key], mark) is mark:
        kind = type(value).__name__
        shown = f"{value:g} ({kind})" if type(value) is float else f"a value of type {kind}"  # text may be anyone's question
        message = "%s: %s is no number that can be recorded; this is logged once and counted in %s"
        _log.warning(message, row.name, shown, catalogue.INVALID.name)


def record(row: Instrument, value: object, labels: Labels) -> None:
    """Record a value in the histogram of a row, if it is a measurement. A failure is logged, not raised."""
    try:
        number = value if type(value) is float and _SMALLEST <= value <= _LARGEST else measurement(row, value)
        if number is not None:
            recorder(row)(number, labels, None)
    except BaseException as error:
        log_internal_error(error)


add = record  # to the counter of a row


def count_attempt(row: Instrument, outcome: object, *of: tuple[Attribute, object]) -> bool:
    """Count one attempt by its outcome, and return whether it was a success: only then is its duration a latency.

    A failure is often recorded with 0 s, and one that is refused at once takes no time either: both would make the slow
    thing that fails look fast. A cancelled attempt shows how long someone waited, not how long the work takes.
    """
    counted = labels(*of, (catalogue.OUTCOME, outcome))
    add(row, 1, counted)
    return counted[catalogue.OUTCOME.key] == SUCCESS
