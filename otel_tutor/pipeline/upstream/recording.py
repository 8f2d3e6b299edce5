"""Recording in the place that the SDK has found before."""

import functools
from collections.abc import Callable, Mapping
from time import time_ns
from typing import Any, Final

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import Counter as SDKCounter
from opentelemetry.sdk.metrics import Histogram as SDKHistogram
from opentelemetry.sdk.metrics import TraceBasedExemplarFilter
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from otel_tutor.pipeline.upstream.adding import Adding, adding_sum, have_wait
from otel_tutor.pipeline.upstream.histogram import histogram_aggregation
from otel_tutor.pipeline.upstream.scratch import Scratch, filled
from otel_tutor.pipeline.upstream.workaround import WorkAround, is_usable
from otel_tutor.recording.origin import SPAN
from otel_tutor.recording.reentry import apart
from otel_tutor.recording.state import record_of, state

__all__ = ["CACHED_RECORDING", "cached_recording"]

Recorder = Callable[[float, Mapping[str, Any], Context | None], None]
Remembered = dict[Any, tuple[Any, list[Any]]]  # attributes; the readers that were there, and the aggregations they lead to

_MOST: Final = 4000  # attributes of one instrument; the SDK keeps 2,000 apart, and the values of several can be combined
_UNKNOWN: Final[tuple[None, list[Any]]] = (None, [])


def cached_recording(instrument: Any) -> Recorder:
    """What records in a histogram or adds to a counter; attributes must come from a bounded set of plain values."""
    if not isinstance(instrument, SDKHistogram | SDKCounter):
        return record_of(instrument)
    if not is_usable(CACHED_RECORDING):
        return functools.partial(_record_apart, record_of(instrument))
    known: Remembered = {}
    state.remembered.append(known)
    return _remembering(instrument, known)


def _record_apart(record: Recorder, value: float, attributes: Mapping[str, Any], within: Context | None = None) -> None:
    inside = within or context.get_current()
    apart(lambda: record(value, attributes, inside))


def _remembering(instrument: Any, known: Remembered) -> Recorder:
    """Record where the first measurement with the same attributes was recorded, without copying and hashing them again."""
    from opentelemetry.sdk.metrics._internal.measurement import Measurement

    consumer = instrument._measurement_consumer
    exemplar_filter = consumer._sdk_config.exemplar_filter
    samples_traces = type(exemplar_filter) is TraceBasedExemplarFilter
    record_first = record_of(instrument)

    def look_up(key: Any, value: float, attributes: Mapping[str, Any], within: Context) -> None:
        record_first(value, attributes, within)
        readers, _ = known.get(key, _UNKNOWN)
        if readers is not consumer._reader_storages and (len(known) < _MOST or key in known):
            known[key] = _aggregations(instrument, attributes)

    def record(value: float, attributes: Mapping[str, Any], within: Context | None = None) -> None:
        key = tuple(attributes.items())
        readers, aggregations = known.get(key, _UNKNOWN)
        if not aggregations or readers is not consumer._reader_storages:  # it is another when a reader was added
            inside = within or context.get_current()
            apart(lambda: look_up(key, value, attributes, inside))
            return
        current: Any = (within or context.get_current()).get(SPAN, trace.INVALID_SPAN)
        span = current.get_span_context()
        if samples_traces:
            sample = span.trace_flags & TraceFlags.SAMPLED and span.is_valid
        else:
            sample = exemplar_filter.should_sample(value, time_ns(), attributes, within or context.get_current())
        waiting = (value, time_ns(), attributes, span) if sample else value
        for aggregation in aggregations:
            if isinstance(aggregation, Adding):
                aggregation.wait(waiting)
                continue
            measurement = object.__new__(Measurement)  # without the check of attributes that were checked before
            within = within or context.get_current()
            measurement.__dict__.update(
                value=value, time_unix_nano=time_ns(), instrument=instrument, context=within, attributes=attributes
            )
            apart(functools.partial(aggregation.aggregate, measurement, sample))

    return record


def _aggregations(instrument: Any, attributes: Mapping[str, Any]) -> tuple[Any, list[Any]]:
    """The SDK's readers, and where it keeps what is recorded with these attributes for each of their views.

    There is no such place where the SDK starts again at every export, or counts the attributes together with others: both
    came with 1.45.2. Then the SDK has to look it up each time.
    """
    from opentelemetry.sdk.metrics._internal.aggregation import _SumAggregation

    readers = instrument._measurement_consumer._reader_storages
    key = _key_of(attributes)
    matches = [match for storage in readers.values() for match in storage._get_or_init_view_instrument_match(instrument)]
    aggregations: list[Any] = [match._attributes_aggregation.get(key) for match in matches]
    lasting = None not in aggregations and not any(getattr(match, "_reset_on_collect", False) for match in matches)
    for aggregation in aggregations if lasting else ():
        if type(aggregation) is _SumAggregation:
            have_wait(aggregation, adding_sum())
    return readers, aggregations if lasting else []


def _key_of(attributes: Mapping[str, Any]) -> object:
    try:
        from opentelemetry.sdk.metrics._internal._view_instrument_match import _hash_attributes
    except ImportError:  # before 1.45
        return frozenset(attributes.items())
    return _hash_attributes(dict(attributes))


def _records_as_the_sdk_does() -> bool:
    """Whether what is exported is the same, as totals and as deltas, and totals are looked up once only."""
    known: Remembered = {}

    def remembering(instrument: Any) -> Recorder:
        known.clear()
        return _remembering(instrument, known)

    return all(
        _exports(remembering, kind, temporality) == _exports(record_of, kind, temporality)
        and (temporality is AggregationTemporality.DELTA or all(aggregations for _, aggregations in known.values()))
        for temporality in (AggregationTemporality.DELTA, AggregationTemporality.CUMULATIVE)
        for kind in (SDKHistogram, SDKCounter)
    )


def _exports(recorder: Callable[[Any], Recorder], kind: type, temporality: AggregationTemporality) -> list[object]:
    """What two exports have of measurements inside a sampled span, exemplars included and times left out."""
    preferred: dict[type, Any] = {SDKHistogram: histogram_aggregation()}
    scratch = Scratch(InMemoryMetricReader({kind: temporality}, preferred), kind)
    record = recorder(scratch.instrument)
    span = NonRecordingSpan(SpanContext(1, 1, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED)))
    exported: list[object] = []
    for values in ((1.0, 2.0, 0.0, 3.0), (4.0, 4.01, 4.02, 4.03, 5.0)):
        for value in values:
            record(value, {"key": "value"}, trace.set_span_in_context(span))
        point = scratch.point()
        if kind is SDKCounter:  # of whose measurements one is the exemplar, by chance
            exported.append((dict(point.attributes), round(point.value, 9), len(point.exemplars)))
            continue
        exemplars = sorted((exemplar.value, exemplar.trace_id, exemplar.span_id) for exemplar in point.exemplars)
        exported.append((dict(point.attributes), point.count, point.sum, point.min, point.max, filled(point), exemplars))
    return exported


CACHED_RECORDING: Final = WorkAround(
    name="cached recording",
    distribution="opentelemetry-sdk",
    reason="opentelemetry-sdk 1.45 copies, checks and hashes the attributes of every measurement, most of what one costs.",
    instead="every measurement goes through the SDK's own record()",
    works=_records_as_the_sdk_does,
)
