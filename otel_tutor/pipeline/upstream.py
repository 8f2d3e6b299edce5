"""Every private part of OpenTelemetry that this package touches, as a list of work-arounds; other code uses public names.

Each work-around is tried once, at `configure()`, on scratch objects. Where the installed release does not behave as
expected, the public way takes its place: nothing is missing from what is recorded, and one line of log says so. Private
names are looked up inside functions, so that this module can be imported with any release. It is longer than others because
it is the one file to read before OpenTelemetry is upgraded. (`_logs`, `_log_exporter` and `_log_encoder` are not
private: OpenTelemetry publishes its logs under these names.)
"""

import bisect
import functools
import inspect
import logging
import math
import random
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePath
from time import time_ns
from types import SimpleNamespace
from typing import Any, Final, cast

import opentelemetry.sdk.trace
from opentelemetry import context, metrics, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.metrics import Counter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import Counter as SDKCounter
from opentelemetry.sdk.metrics import Histogram as SDKHistogram
from opentelemetry.sdk.metrics import MeterProvider, TraceBasedExemplarFilter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ConsoleMetricExporter,
    InMemoryMetricReader,
    MetricReader,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags

from otel_tutor.catalogue import DB_OPERATION
from otel_tutor.recording.operation import tracer
from otel_tutor.recording.sql import keyword
from otel_tutor.recording.state import state

__all__ = [
    "WORK_AROUNDS",
    "WorkAround",
    "cached_recording",
    "forget_counts",
    "frozen_span_times",
    "histogram_aggregation",
    "is_usable",
    "reconnect",
    "send_through",
    "trace_engine",
    "try_all",
    "update_resource",
]

Recorder = Callable[[float, Mapping[str, Any], Context | None], None]
_Waiting = float | tuple[float, int, Mapping[str, Any], SpanContext]  # a value; its time, attributes and sampled span
Remembered = dict[Any, tuple[Any, list[Any]]]  # attributes; the readers that were there, and the aggregations they lead to

# Scale 4 makes a bucket 4.4 % wide, and 640 of them span twelve decades: 1 µs to 11 days, or 1 to 10^12 tokens. A histogram
# that starts finer, or holds less, has to widen as its range grows, and then counts of Prometheus buckets go down.
_MAX_SCALE: Final = 4
_MAX_BUCKETS: Final = 640

_OTLP_EXPORTERS: Final = (OTLPSpanExporter, OTLPMetricExporter, OTLPLogExporter)

# Measurements of one series that wait to be added up: at most 100 KB, and a millisecond of work.
_MANY: Final = 500
_UNKNOWN: Final[tuple[None, list[Any]]] = (None, [])
_EXEMPLARS: Final = 10  # of them; the SDK keeps 20 of a series until the next export

# Statements of an engine whose span is known, and their characters: at most 2 MB.
_STATEMENTS: Final = 512
_LONG: Final = 4096

_log: Final = logging.getLogger("otel_tutor")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkAround:
    """One use of private parts.

    distribution: whose parts they are. reason: what it does without them, and as of which release.
    instead: the public way that replaces it. works: tries it; False or any exception switches the work-around off.
    """

    name: str
    distribution: str
    reason: str
    instead: str
    works: Callable[[], bool]


def is_usable(work_around: WorkAround) -> bool:
    """Whether the work-around does its work with what is installed. It is tried at the first call; a failure is logged."""
    name = work_around.name
    if name not in state.work_arounds:
        cause = "another result than expected"
        try:
            state.work_arounds[name] = work_around.works()
        except Exception as error:
            state.work_arounds[name], cause = False, f"{type(error).__name__}: {error}"
        if not state.work_arounds[name]:
            message = "work-around %r is switched off, it does not fit %s (%s): %s"
            _log.warning(message, name, _installed(work_around.distribution), cause, work_around.instead)
    return state.work_arounds[name]


def _installed(distribution: str) -> str:
    try:
        return f"{distribution} {version(distribution)}"
    except PackageNotFoundError:  # vendored, or in a frozen program
        return distribution


def try_all() -> None:
    """Try every work-around whose library is there; `configure()` calls this before it builds anything."""
    for work_around in WORK_AROUNDS:
        if work_around is not ENGINE_SPANS:  # needs SQLAlchemy, which an app may do without: tried at the first engine
            is_usable(work_around)


def cached_recording(instrument: Any) -> Recorder:
    """What records in a histogram or adds to a counter; attributes must come from a bounded set of plain values."""
    if not isinstance(instrument, SDKHistogram | SDKCounter) or not is_usable(CACHED_RECORDING):
        return _record_of(instrument)
    known: Remembered = {}
    state.remembered.append(known)
    return _remembering(instrument, known)


def _record_of(instrument: Any) -> Recorder:
    record: Recorder = instrument.add if isinstance(instrument, Counter) else instrument.record
    return record


def _remembering(instrument: Any, known: Remembered) -> Recorder:
    """Record where the first measurement with the same attributes was recorded, without copying and hashing them again."""
    from opentelemetry.sdk.metrics._internal.measurement import Measurement

    consumer = instrument._measurement_consumer
    exemplar_filter = consumer._sdk_config.exemplar_filter
    samples_traces = type(exemplar_filter) is TraceBasedExemplarFilter
    record_first = _record_of(instrument)

    def record(value: float, attributes: Mapping[str, Any], within: Context | None = None) -> None:
        key = tuple(attributes.items())
        readers, aggregations = known.get(key, _UNKNOWN)
        if not aggregations or readers is not consumer._reader_storages:  # it is another when a reader was added
            record_first(value, attributes, within)
            if readers is not consumer._reader_storages:
                known[key] = _aggregations(instrument, attributes)
            return
        span = trace.get_current_span(within).get_span_context()
        if samples_traces:
            sample = span.trace_flags & TraceFlags.SAMPLED and span.is_valid
        else:
            sample = exemplar_filter.should_sample(value, time_ns(), attributes, within or context.get_current())
        waiting = (value, time_ns(), attributes, span) if sample else value
        for aggregation in aggregations:
            if isinstance(aggregation, _Adding):
                aggregation.wait(waiting)
                continue
            measurement = object.__new__(Measurement)  # without the check of attributes that were checked before
            within = within or context.get_current()
            measurement.__dict__.update(
                value=value, time_unix_nano=time_ns(), instrument=instrument, context=within, attributes=attributes
            )
            aggregation.aggregate(measurement, sample)

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
            _have_wait(aggregation, _adding_sum())
    return readers, aggregations if lasting else []


class _Adding:
    """Mixed into an aggregation of the SDK: measurements wait there, and are added up many at once.

    That is when they are exported, or when there are many. What records takes no lock: a signal handler may record while
    its own thread holds one.
    """

    __slots__ = ()  # so that the SDK's object can take on the class

    _lock: Any
    _sample_exemplar: Any
    waiting: deque[_Waiting]
    zeros_are_exemplars = True

    def wait(self, measurement: _Waiting) -> None:
        waiting = self.waiting
        waiting.append(measurement)
        if len(waiting) >= _MANY and self._lock.acquire(blocking=False):
            self._lock.release()
            self.add_up()

    def add_up(self) -> None:
        batch = list(_taken(self.waiting))
        if not batch:
            return
        sampled = [measurement for measurement in batch if type(measurement) is tuple]
        plain = (
            [measurement[0] if type(measurement) is tuple else measurement for measurement in batch] if sampled else batch
        )
        self.add_all(plain)
        if not self.zeros_are_exemplars:
            sampled = [measurement for measurement in sampled if measurement[0]]
        for value, now, attributes, span in random.sample(sampled, min(len(sampled), _EXEMPLARS)):
            within = trace.set_span_in_context(NonRecordingSpan(span), Context())
            exemplar = SimpleNamespace(value=value, time_unix_nano=now, attributes=attributes, context=within)
            self._sample_exemplar(exemplar, True)

    def add_all(self, values: list[Any]) -> None:
        raise NotImplementedError


def _taken(waiting: deque[_Waiting]) -> Iterator[_Waiting]:
    """Those that are there now, each taken by one thread only."""
    for _ in range(len(waiting)):
        try:
            yield waiting.popleft()
        except IndexError:
            return


def _have_wait(aggregation: Any, kind: type) -> None:
    vars(aggregation).setdefault("waiting", deque())
    aggregation.__class__ = kind


@functools.cache
def _adding_sum() -> type:
    from opentelemetry.sdk.metrics._internal.aggregation import _SumAggregation

    aggregate: Any = _SumAggregation.aggregate  # asks a measurement for its value only

    class AddingSum(_SumAggregation, _Adding):
        def add_all(self, values: list[Any]) -> None:
            aggregate(self, SimpleNamespace(value=sum(values)), False)

        def collect(self, *args: Any) -> Any:
            self.add_up()
            return super().collect(*args)

    return AddingSum


def _key_of(attributes: Mapping[str, Any]) -> object:
    try:
        from opentelemetry.sdk.metrics._internal._view_instrument_match import _hash_attributes
    except ImportError:  # before 1.45
        return frozenset(attributes.items())
    return _hash_attributes(dict(attributes))


def _records_as_the_sdk_does() -> bool:
    """Whether what is exported is the same, as totals and as deltas, and totals are looked up once only."""
    known: Remembered = {}

    def remembering(histogram: Any) -> Recorder:
        known.clear()
        return _remembering(histogram, known)

    def plain(histogram: Any) -> Recorder:
        return _record_of(histogram)

    return all(
        _exports(remembering, temporality) == _exports(plain, temporality)
        for temporality in (AggregationTemporality.DELTA, AggregationTemporality.CUMULATIVE)
    ) and all(aggregations for _, aggregations in known.values())


def _exports(recorder: Callable[[Any], Recorder], temporality: AggregationTemporality) -> list[object]:
    """What two exports have of measurements inside a sampled span, exemplars included and times left out."""
    aggregation: dict[type, Any] = {SDKHistogram: histogram_aggregation()}
    scratch = _Scratch(
        InMemoryMetricReader(preferred_temporality={SDKHistogram: temporality}, preferred_aggregation=aggregation)
    )
    record = recorder(scratch.histogram)
    span = NonRecordingSpan(SpanContext(1, 1, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED)))
    exported: list[object] = []
    for values in ((1.0, 2.0, 0.0, 3.0), (4.0, 4.01, 4.02, 4.03, 5.0)):
        for value in values:
            record(value, {"key": "value"}, trace.set_span_in_context(span))
        point = scratch.point()
        exemplars = sorted((exemplar.value, exemplar.trace_id, exemplar.span_id) for exemplar in point.exemplars)
        exported.append((dict(point.attributes), point.count, point.sum, point.min, point.max, _filled(point), exemplars))
    return exported


class _Scratch:
    """A histogram with its own provider, to try something on."""

    def __init__(self, reader: MetricReader) -> None:
        self.reader: Any = reader
        self.provider: Any = MeterProvider([reader], resource=Resource.get_empty(), shutdown_on_exit=False)
        self.histogram: Any = self.provider.get_meter("otel_tutor.upstream").create_histogram("scratch")

    def point(self) -> Any:
        """What an export would have of it now."""
        return self.reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics[0].data.data_points[0]


def histogram_aggregation() -> ExponentialBucketHistogramAggregation:
    """How histograms are aggregated: base-2 exponential."""
    aggregation = _steady_aggregation() if is_usable(STEADY_HISTOGRAM) else ExponentialBucketHistogramAggregation
    return aggregation(max_size=_MAX_BUCKETS, max_scale=_MAX_SCALE)


@functools.cache
def _steady_aggregation() -> type[ExponentialBucketHistogramAggregation]:
    from opentelemetry.sdk.metrics._internal.aggregation import _ExponentialBucketHistogramAggregation

    aggregate: Any = _ExponentialBucketHistogramAggregation.aggregate  # asks a measurement for its value only

    class Steady(_ExponentialBucketHistogramAggregation, _Adding):
        zeros_are_exemplars = False

        def add_all(self, values: list[Any]) -> None:
            values.sort()
            first = 0
            while first < len(values):
                end = self.end_of_bucket(values, first)
                # The SDK makes room for each bucket, and sees the least and the greatest value; the rest is the same bucket.
                for place in {first, end - 1}:
                    aggregate(self, SimpleNamespace(value=values[place]), False)
                for value in self.not_added(values[first + 1 : end - 1]):
                    aggregate(self, SimpleNamespace(value=value), False)
                first = end

        def end_of_bucket(self, values: list[Any], first: int) -> int:
            """Where the sorted values end that are in one bucket with the first; a few of them may be left to the next."""
            same = bisect.bisect_right(values, values[first], first)
            if values[first] <= 0:
                return same
            mapping = self._mapping
            index = mapping.map_to_index(values[first])
            end = bisect.bisect_right(values, mapping.get_lower_boundary(index + 1), first)
            while end > same and mapping.map_to_index(values[end - 1]) != index:  # the boundary is rounded
                end -= 1
            return max(end, same)

        def not_added(self, values: list[float]) -> list[float]:
            """Add values of one bucket that is there; returns them where it is not, since it was exported meanwhile."""
            with self._lock:
                buckets = self._value_positive
                if values and values[0] == 0:
                    self._zero_count += len(values)
                    self._count += len(values)
                    return []
                if not values or values[0] < 0 or buckets is None:
                    return values
                index = self._mapping.map_to_index(values[0])
                if not buckets.index_start <= index <= buckets.index_end:
                    return values
                place = index - buckets.index_base
                buckets.increment_bucket(place if place >= 0 else place + len(buckets.counts), len(values))
                self._count += len(values)
                self._sum += sum(values)
                return []

        def collect(self, collection_aggregation_temporality: AggregationTemporality, collection_start_nano: int) -> Any:
            self.add_up()
            with self._lock:
                only_zeros = self._count and self._count == self._zero_count
                if only_zeros and collection_aggregation_temporality is AggregationTemporality.CUMULATIVE:
                    for name in ("_scale", "_value_positive", "_value_negative"):
                        _replace(self, name, None)
            return super().collect(collection_aggregation_temporality, collection_start_nano)

        def _merge(
            self, previous_buckets: Any, current_buckets: Any, current_scale: int, min_scale: int, temporality: Any
        ) -> None:
            if not any(previous_buckets.counts):
                # Never filled, yet said to start at index 0: start where the first values are instead.
                start = current_buckets.index_start >> (current_scale - min_scale)
                _replace(previous_buckets, "_counts", [0])
                previous_buckets.index_start = previous_buckets.index_end = previous_buckets.index_base = start
            super()._merge(previous_buckets, current_buckets, current_scale, min_scale, temporality)

    class SteadyAggregation(ExponentialBucketHistogramAggregation):
        def _create_aggregation(self, *args: Any, **kwargs: Any) -> Any:
            made: Any = super()._create_aggregation(*args, **kwargs)
            if isinstance(made, _ExponentialBucketHistogramAggregation):
                _have_wait(made, Steady)
            return made

    return SteadyAggregation


def _keeps_its_scale() -> bool:
    """Whether intervals of zeros, at the start and later, leave the scale and every count as they are.

    The values are small: with buckets that begin at 1, as those of an interval of zeros do, they would not fit in.
    """
    aggregation = _steady_aggregation()(max_size=_MAX_BUCKETS, max_scale=_MAX_SCALE)
    scratch = _Scratch(InMemoryMetricReader(preferred_aggregation={SDKHistogram: aggregation}))
    for interval in ([0.0], [1e-14, 1e-12], [0.0], [1e-13]):
        for value in interval:
            scratch.histogram.record(value)
        point = scratch.point()
    filled = set(_filled(point))
    expected = {math.ceil(math.log2(value) * 2**_MAX_SCALE) - 1 for value in (1e-14, 1e-12, 1e-13)}
    return bool((point.scale, point.count, point.zero_count, filled) == (_MAX_SCALE, 5, 2, expected))


def _filled(point: Any) -> dict[int, int]:
    """The counts of an exponential histogram's point by the index of their bucket."""
    return {point.positive.offset + place: count for place, count in enumerate(point.positive.bucket_counts) if count}


def forget_counts(provider: MeterProvider) -> None:
    """In a forked child: start at zero, with locks that no thread of the parent holds."""
    if is_usable(FORKED_COUNTS):
        _forget_counts(provider)


def _forget_counts(provider: Any) -> None:
    consumer = provider._measurement_consumer
    _replace(consumer, "_lock", threading.Lock())
    for reader, storage in consumer._reader_storages.items():
        _replace(storage, "_lock", threading.RLock())
        _replace(storage, "_instrument_view_instrument_matches", {})
        if isinstance(reader, PeriodicExportingMetricReader):
            _replace(reader, "_export_lock", threading.Lock())
    for known in state.remembered:
        known.clear()


def _starts_at_zero() -> bool:
    """Whether it finds all it replaces, in a reader as in production as well, and what was recorded before is gone."""
    _forget_counts(_Scratch(PeriodicExportingMetricReader(ConsoleMetricExporter(), math.inf)).provider)  # endless: no thread
    scratch = _Scratch(InMemoryMetricReader())
    scratch.histogram.record(1.0)
    _forget_counts(scratch.provider)
    scratch.histogram.record(2.0)
    return bool(scratch.point().count == 1)


def _replace(owner: Any, name: str, value: object) -> None:
    """Set an attribute that must exist: setting it after upstream renamed it would silently have no effect."""
    getattr(owner, name)
    setattr(owner, name, value)


def update_resource(providers: Iterable[Any], resource: Callable[[], Resource]) -> None:
    """In a forked child: export under the name in `resource` from now on."""
    if is_usable(FORKED_NAME):
        own = resource()
        for provider in providers:
            _add_to_resource(provider, own)


def _add_to_resource(provider: Any, own: Resource) -> None:
    if hasattr(provider, "_update_resource"):  # from 1.44 on
        provider._update_resource(own)
        return
    if isinstance(provider, MeterProvider):
        provider = provider._sdk_config
        _replace(provider, "resource", provider.resource.merge(own))
        return
    merged = provider.resource.merge(own)
    _replace(provider, "_resource", merged)
    if isinstance(provider, TracerProvider):
        for tracer in provider._tracers.values():
            _replace(tracer, "resource", merged)
    else:
        for logger in provider._active_loggers:
            _replace(logger, "_resource", merged)


def _exports_under_another_name() -> bool:
    """Whether a span, a metric and a log record have it, of a tracer, meter and logger that were there before as well."""
    before, after = Resource({"name": "parent"}), Resource({"name": "child"})
    tracers, loggers = (
        TracerProvider(ALWAYS_ON, before, shutdown_on_exit=False),
        LoggerProvider(before, shutdown_on_exit=False),
    )
    tracer, logger, scratch = tracers.get_tracer("scratch"), loggers.get_logger("scratch"), _Scratch(InMemoryMetricReader())
    for provider in (tracers, loggers, scratch.provider):
        _add_to_resource(provider, after)
    span: Any = tracer.start_span("scratch")
    scratch.histogram.record(1.0)
    metric = scratch.reader.get_metrics_data().resource_metrics[0]
    named: list[Any] = [span, metric, logger, tracers.get_tracer("later").start_span("scratch"), loggers.get_logger("later")]
    return all(signal.resource.attributes["name"] == "child" for signal in named)


def reconnect(exporters: Iterable[object]) -> None:
    """In a forked child: give each OTLP exporter among `exporters` its own connection."""
    if is_usable(FORKED_CONNECTION):
        for exporter in exporters:
            if isinstance(exporter, _OTLP_EXPORTERS):
                exporter._initialize_channel_and_stub()  # type: ignore[no-untyped-call]  # upstream has no types


def _can_reconnect() -> bool:
    return all(callable(exporter._initialize_channel_and_stub) for exporter in _OTLP_EXPORTERS)


def send_through(exporter: Any, client: Callable[[Any], Any]) -> bool:
    """Have `exporter` pass its batches, not yet encoded, to `client(channel).Export`. Returns whether it does."""
    if is_usable(WHOLE_BATCHES):
        _send_through(exporter, client)
    return is_usable(WHOLE_BATCHES)


def _send_through(exporter: Any, client: Callable[[Any], Any]) -> None:
    _replace(exporter, "_translate_data", lambda batch: batch)
    _replace(exporter, "_stub", client)
    exporter._initialize_channel_and_stub()


def _passes_its_batch() -> bool:
    return all(_passed_by(exporter) for exporter in _OTLP_EXPORTERS)


def _passed_by(exporter_type: Any) -> bool:
    """Whether a scratch exporter passes just what it is given. It connects to nothing: a channel does so when it sends."""
    passed: list[object] = []

    class Client:
        def __init__(self, _: object) -> None:
            self.Export = lambda request, **_: passed.append(request)

    exporter = exporter_type("http://localhost:1", meter_provider=metrics.NoOpMeterProvider())
    try:
        _send_through(exporter, Client)
        batch: Any = MetricsData([]) if exporter_type is OTLPMetricExporter else []
        exporter.export(batch)
    finally:
        exporter.shutdown()
    return len(passed) == 1 and passed[0] is batch


def trace_engine(engine: Any) -> None:
    """Make a client span of each statement of a SQLAlchemy engine."""
    if is_usable(ENGINE_SPANS):
        # Its connection counter costs four SDK calls a checkout for what the pool knows anyway: it gets none to count with.
        _engine_tracer()(tracer(), engine, metrics.NoOpUpDownCounter("unused"))
        return
    from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor

    instrumentor = SQLAlchemyInstrumentor()
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()  # it takes engines only once: a later one comes with all the others
    # It declares SQLAlchemy 2.1 unsupported, and works with it.
    providers = {"tracer_provider": state.tracer_provider, "meter_provider": metrics.NoOpMeterProvider()}
    instrumentor.instrument(engines=list(state.engines), skip_dep_check=True, **providers)


@functools.cache
def _engine_tracer() -> Callable[..., Any]:
    from opentelemetry.instrumentation.sqlalchemy.engine import EngineTracer

    class Tracer(EngineTracer):
        def _operation_name(self, db_name: str | None, statement: object) -> str:
            # SQLite's database is a path, which has no place in the name of a span.
            name = db_name and PurePath(db_name).name
            return " ".join(filter(None, (keyword(statement), name))) or str(self.vendor)

        def _set_db_client_span_attributes(self, span: Any, statement: object, db_name: str | None, attrs: Any) -> None:
            super()._set_db_client_span_attributes(span, statement, db_name, attrs)
            if operation := keyword(statement):  # there it is the name of the span, with that of the database
                span.set_attribute(DB_OPERATION.key, operation.upper())

        def _before_cur_exec(
            self, conn: Any, cursor: Any, statement: Any, params: Any, context: Any, executemany: bool
        ) -> tuple[Any, Any]:
            # What it works out for the same statement is the same where the engine knows its server.
            seen = vars(self).setdefault("seen", {})
            known = seen.get(statement)
            if known is not None and is_instrumentation_enabled():
                name, attributes = known
                context._otel_span = self.tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes)
                return statement, params
            before: Any = super()._before_cur_exec
            executed = before(conn, cursor, statement, params, context, executemany)
            span = getattr(context, "_otel_span", None)
            is_fixed = bool(conn.engine.url.host) or self.vendor == "sqlite"
            if isinstance(span, ReadableSpan) and is_fixed and len(seen) < _STATEMENTS and len(statement) <= _LONG:
                seen[statement] = span.name, dict(span.attributes or {})
            return cast("tuple[Any, Any]", executed)

    return Tracer


def _names_spans() -> bool:
    """Whether it takes what it is given here, asks the methods that are overridden here, and ends the span it is left."""
    from opentelemetry.instrumentation.sqlalchemy.engine import EngineTracer, _after_cur_exec

    class Span:
        ended = False

        def end(self) -> None:
            self.ended = True

    span = Span()
    after: Any = _after_cur_exec
    after(None, None, "", None, SimpleNamespace(_otel_span=span), False)
    before = inspect.signature(EngineTracer._before_cur_exec)
    before.bind("self", "conn", "cursor", "statement", "params", "context", False)

    inspect.signature(EngineTracer).bind("tracer", "engine", "connections_usage")
    inspect.signature(EngineTracer._operation_name).bind("self", "db_name", "statement")
    inspect.signature(EngineTracer._set_db_client_span_attributes).bind("self", "span", "statement", "db_name", "attrs")
    return span.ended


@contextmanager
def frozen_span_times(read: Callable[[], int]) -> Iterator[None]:
    """Have spans begin and end at the time that `read` gives, in nanoseconds since 1970. For tests."""
    if not is_usable(FROZEN_SPANS):
        yield
        return
    with _replaced_time(read):
        yield


@contextmanager
def _replaced_time(read: Callable[[], int]) -> Iterator[None]:
    module: Any = opentelemetry.sdk.trace  # where the SDK reads the time of a span
    before = module.time_ns
    module.time_ns = read
    try:
        yield
    finally:
        module.time_ns = before


def _freezes_spans() -> bool:
    tracer = TracerProvider(ALWAYS_ON, Resource.get_empty(), shutdown_on_exit=False).get_tracer("otel_tutor.upstream")
    with _replaced_time(lambda: 1):
        span: Any = tracer.start_span("scratch")
        span.end()
    return bool((span.start_time, span.end_time) == (1, 1))


CACHED_RECORDING: Final = WorkAround(
    name="cached recording",
    distribution="opentelemetry-sdk",
    reason="opentelemetry-sdk 1.45 copies, checks and hashes the attributes of every measurement, most of what one costs.",
    instead="every measurement goes through the SDK's own record()",
    works=_records_as_the_sdk_does,
)
STEADY_HISTOGRAM: Final = WorkAround(
    name="steady histograms",
    distribution="opentelemetry-sdk",
    reason="In opentelemetry-sdk 1.45 an interval of zeros only makes the buckets of a histogram 2x wide until it restarts.",
    instead="histograms are the SDK's own exponential ones, which lose resolution after an interval of zeros",
    works=_keeps_its_scale,
)
FORKED_COUNTS: Final = WorkAround(
    name="counts of a forked child",
    distribution="opentelemetry-sdk",
    reason="In opentelemetry-sdk 1.45 a child keeps its parent's counts, and the locks that threads of its parent held.",
    instead="a forked child adds to its parent's counts",
    works=_starts_at_zero,
)
FORKED_NAME: Final = WorkAround(
    name="name of a forked child",
    distribution="opentelemetry-sdk",
    reason="opentelemetry-sdk 1.44 gives a child a random service.instance.id, so each restart leaves a ghost; 1.43 none.",
    instead="a forked child has the service.instance.id that the SDK gives it: a random one, in 1.43 its parent's",
    works=_exports_under_another_name,
)
FORKED_CONNECTION: Final = WorkAround(
    name="connection of a forked child",
    distribution="opentelemetry-exporter-otlp-proto-grpc",
    reason="With opentelemetry-exporter-otlp-proto-grpc 1.45 a child goes on with its parent's channel, which gRPC forbids.",
    instead="a forked child's exporters connect again after their first failure",
    works=_can_reconnect,
)
WHOLE_BATCHES: Final = WorkAround(
    name="whole batches",
    distribution="opentelemetry-exporter-otlp-proto-grpc",
    reason="opentelemetry-exporter-otlp-proto-grpc 1.45 loses a batch for one record, and does not say why it was refused.",
    instead="a batch is encoded twice to know its size, and one that the receiver refuses is lost",
    works=_passes_its_batch,
)
ENGINE_SPANS: Final = WorkAround(
    name="spans of one engine",
    distribution="opentelemetry-instrumentation-sqlalchemy",
    reason="The instrumentor 0.66b1 patches SQLAlchemy for the whole process and puts the database into the operation.",
    instead="SQLAlchemyInstrumentor() traces the engines, and each connect() as well",
    works=_names_spans,
)
FROZEN_SPANS: Final = WorkAround(
    name="frozen times of spans",
    distribution="opentelemetry-sdk",
    reason="opentelemetry-sdk 1.45 has no option for the clock that spans are timed by.",
    instead="captured.frozen() holds durations still, and spans have the time of the machine",
    works=_freezes_spans,
)

WORK_AROUNDS: Final = (
    CACHED_RECORDING,
    STEADY_HISTOGRAM,
    FORKED_COUNTS,
    FORKED_NAME,
    FORKED_CONNECTION,
    WHOLE_BATCHES,
    ENGINE_SPANS,
    FROZEN_SPANS,
)
