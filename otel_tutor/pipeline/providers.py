"""The three providers: built from exporters, made global once, shut down together under one deadline."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, MetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator

from otel_tutor.environment import DEFAULT_QUEUE
from otel_tutor.pipeline import upstream
from otel_tutor.pipeline.line import Lines, OwnLoggerProvider
from otel_tutor.pipeline.logs import export_logs
from otel_tutor.pipeline.model_spans import ModelSpans
from otel_tutor.pipeline.neighbours import Neighbours
from otel_tutor.pipeline.reader import SteadyReader
from otel_tutor.pipeline.resource import end_lease
from otel_tutor.pipeline.sampler import CountingSampler
from otel_tutor.pipeline.self_metrics import sdk_self_metrics
from otel_tutor.pipeline.tracer import LightTracer, OwnProvider
from otel_tutor.pipeline.values import ValidLogs
from otel_tutor.settings import Settings

if TYPE_CHECKING:
    from otel_tutor.pipeline.delivery import Delivery

__all__ = ["Exporters", "Providers"]

_ABORT_SECONDS: Final = 0.3  # of the deadline, kept for exporters that have to be cut off


@dataclass(frozen=True, slots=True, kw_only=True)
class Exporters:
    """Where each signal goes; nothing for one that goes nowhere.

    `reader` and `ids` replace periodic export and random ids in tests.
    """

    spans: Sequence[SpanExporter] = ()
    metrics: Sequence[MetricExporter] = ()
    logs: Sequence[LogRecordExporter] = ()
    deliveries: "Sequence[Delivery]" = ()  # of those that wait for a receiver
    reader: MetricReader | None = None
    ids: IdGenerator | None = None

    def __iter__(self) -> Iterator[Any]:
        """Each exporter."""
        yield from self.spans
        yield from self.metrics
        yield from self.logs


class _Part(Protocol):
    """What holds telemetry until it is sent: a provider of ours, or a processor or reader that a neighbour's has taken."""

    def force_flush(self, timeout_millis: int = ...) -> object: ...
    def shutdown(self) -> None: ...


@dataclass(slots=True)
class Providers:
    """The running pipeline of this process.

    tracer, meter: ours, or a neighbour's that has taken our processors or readers. logger: ours, for stdlib logging; the
    records of a neighbour's come by our processors.
    """

    tracer: Any
    meter: Any
    logger: LoggerProvider
    exporters: Exporters
    neighbours: Neighbours
    own_tracer: LightTracer | None
    model_spans: ModelSpans
    lines: Lines
    _ours: Sequence[Any]  # providers whose resource and life are ours
    _parts: Sequence[_Part]
    _batches: Sequence[Any]  # processors
    _detach_logging: Callable[[], None] = field(default=lambda: None)
    _stoppers: "list[_Stopper]" = field(default_factory=list)
    _flushes: dict[int, threading.Thread] = field(default_factory=dict)  # by part

    def __post_init__(self) -> None:
        self.prepare_shutdown()

    @classmethod
    def build(
        cls, settings: Settings, exporters: Exporters, resource: Resource, neighbours: Neighbours | None = None
    ) -> "Providers":
        """Connect each signal to its exporter; samplers, limits and batch sizes are those of the `OTEL_*` variables."""
        neighbours = neighbours or Neighbours()
        with sdk_self_metrics():
            spans = [
                BatchSpanProcessor(exporter, max_queue_size=_queue("OTEL_BSP_MAX_QUEUE_SIZE"))
                for exporter in exporters.spans
            ]
            logs = [
                BatchLogRecordProcessor(exporter, max_queue_size=_queue("OTEL_BLRP_MAX_QUEUE_SIZE"))
                for exporter in exporters.logs
            ]
        upstream.interruptible_batches(spans + logs)
        interval = settings.metric_interval_ms
        readers: list[MetricReader] = [SteadyReader(each, interval) for each in exporters.metrics]
        if exporters.reader:
            readers.append(exporters.reader)
        model_spans = ModelSpans(spans)
        joined_tracer = neighbours.tracer and neighbours.tracer.join([model_spans])
        joined_meter = neighbours.meter and neighbours.meter.join(readers)
        valid_logs = ValidLogs(settings.log_value_limit, logs)
        if neighbours.logger:
            neighbours.logger.join([valid_logs])
        own_tracer = None if joined_tracer else _light_tracer(settings, exporters, resource, model_spans)
        tracer = joined_tracer if own_tracer is None else own_tracer.provider
        meter = joined_meter or MeterProvider(readers, resource=resource, shutdown_on_exit=False)
        logger = OwnLoggerProvider(resource=resource, shutdown_on_exit=False)
        logger.add_own_processor(valid_logs)
        lines = Lines(logger, settings.log_value_limit, valid_logs)
        ours = [logger, *([] if joined_tracer else [tracer]), *([] if joined_meter else [meter])]
        parts: list[Any] = [*ours, *(spans if joined_tracer else []), *(readers if joined_meter else [])]
        return cls(
            tracer, meter, logger, exporters, neighbours, own_tracer, model_spans, lines, ours, parts, [*spans, *logs]
        )

    def make_global(self) -> None:
        """Make these the process's providers where it has none, and have stdlib logging write to ours."""
        if self.neighbours.tracer is None:
            trace.set_tracer_provider(self.tracer)
        if self.neighbours.meter is None:
            metrics.set_meter_provider(self.meter)
        if self.neighbours.logger is None:
            _logs.set_logger_provider(self.logger)
        if self.exporters.logs:
            self._detach_logging = export_logs(self.logger, self.lines)

    def flush(self, seconds: float | None = None) -> bool:
        """Send what is held now, all three signals at once. Blocks until it is sent or given up, at most for `seconds`.

        Returns whether that was time enough.
        """
        threads = [self._flush_of(part) for part in self._parts]
        deadline = None if seconds is None else time.monotonic() + seconds
        for thread in threads:
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def _flush_of(self, part: _Part) -> threading.Thread:
        """The thread that flushes it: one that waits for a receiver already sends what has come since as well."""
        thread = self._flushes.get(id(part))
        if thread is None or not thread.is_alive():
            thread = threading.Thread(target=part.force_flush, name="otel-tutor-flush", daemon=True)
            self._flushes[id(part)] = thread
            thread.start()
        return thread

    def shutdown(self, seconds: float) -> None:
        """Send what is left and stop, all three signals at once, within `seconds` whether or not anything answers."""
        self._detach_logging()
        deadline = time.monotonic() + seconds
        for delivery in self.exporters.deliveries:
            delivery.hurry(seconds - _ABORT_SECONDS)
        for stopper in self._stoppers:
            stopper.go.set()
        _join(self._stoppers, deadline - _ABORT_SECONDS)
        if any(stopper.is_alive() for stopper in self._stoppers):
            for exporter in self.exporters:
                exporter.shutdown()  # closes the channel under a call that waits
            _join(self._stoppers, deadline)
        end_lease()

    def reset_after_fork(self, make_resource: Callable[[], Resource]) -> None:
        """In a forked child: begin without the parent's counts, under the child's own name, on its own connections."""
        if isinstance(self.meter, MeterProvider):
            upstream.forget_counts(self.meter)
        upstream.update_resource(self._ours, make_resource)
        upstream.reconnect(self.exporters)
        upstream.interruptible_batches(self._batches)
        self._flushes.clear()  # threads of the parent
        self.prepare_shutdown()

    def prepare_shutdown(self) -> None:
        """Start the threads of `shutdown()` now: Python 3.12 starts none once it is exiting."""
        self._stoppers = [_Stopper(part.shutdown) for part in self._parts]


def _queue(variable: str) -> int | None:
    """The size of a processor's queue, unless the environment has it."""
    return None if os.environ.get(variable) else DEFAULT_QUEUE


def _light_tracer(settings: Settings, exporters: Exporters, resource: Resource, spans: ModelSpans) -> LightTracer:
    limits = SpanLimits(max_attribute_length=settings.value_limit, max_span_attribute_length=settings.span_value_limit)
    provider = OwnProvider(resource=resource, shutdown_on_exit=False, id_generator=exporters.ids, span_limits=limits)
    provider.sampler = CountingSampler(provider.sampler)
    provider.add_own_processor(spans)
    return LightTracer(provider, spans, limits)


class _Stopper(threading.Thread):
    """Stops one signal once `go` is set."""

    def __init__(self, stop: Callable[[], None]) -> None:
        super().__init__(name="otel-tutor-shutdown", daemon=True)
        self.go = threading.Event()
        self._stop_signal = stop
        self.start()

    def run(self) -> None:
        """Wait, then stop."""
        self.go.wait()
        self._stop_signal()


def _join(threads: Iterable[threading.Thread], deadline: float) -> None:
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
