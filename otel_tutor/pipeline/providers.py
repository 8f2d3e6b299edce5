"""The three providers: built from exporters, made global once, shut down together under one deadline."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider, LogRecordLimits
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator

from otel_tutor.errors import ConfigurationError
from otel_tutor.pipeline import upstream
from otel_tutor.pipeline.logs import export_logs
from otel_tutor.pipeline.self_metrics import sdk_self_metrics
from otel_tutor.pipeline.values import ValidLogs
from otel_tutor.settings import Settings

__all__ = ["Exporters", "Providers", "ensure_no_provider"]

_ABORT_SECONDS: Final = 0.3  # of the deadline, kept for exporters that have to be cut off


@dataclass(frozen=True, slots=True, kw_only=True)
class Exporters:
    """Where each signal goes; nothing for one that goes nowhere.

    `reader` and `ids` replace periodic export and random ids in tests.
    """

    spans: Sequence[SpanExporter] = ()
    metrics: Sequence[MetricExporter] = ()
    logs: Sequence[LogRecordExporter] = ()
    reader: MetricReader | None = None
    ids: IdGenerator | None = None

    def __iter__(self) -> Iterator[Any]:
        """Each exporter."""
        yield from self.spans
        yield from self.metrics
        yield from self.logs


@dataclass(slots=True)
class Providers:
    """The running pipeline of this process."""

    tracer: TracerProvider
    meter: MeterProvider
    logger: LoggerProvider
    exporters: Exporters
    _detach_logging: Callable[[], None] = field(default=lambda: None)
    _stoppers: "list[_Stopper]" = field(default_factory=list)

    def __post_init__(self) -> None:
        self.prepare_shutdown()

    @classmethod
    def build(cls, settings: Settings, exporters: Exporters, resource: Resource) -> "Providers":
        """Connect each signal to its exporter; samplers, limits and batch sizes are those of the `OTEL_*` variables."""
        limits = SpanLimits(max_attribute_length=settings.value_limit, max_span_attribute_length=settings.span_value_limit)
        tracer = TracerProvider(resource=resource, shutdown_on_exit=False, id_generator=exporters.ids, span_limits=limits)
        for span_exporter in exporters.spans:
            with sdk_self_metrics():
                tracer.add_span_processor(BatchSpanProcessor(span_exporter))
        interval = settings.metric_interval_ms
        readers = [exporters.reader] if exporters.reader else []
        for metric_exporter in exporters.metrics:
            readers.append(PeriodicExportingMetricReader(metric_exporter, export_interval_millis=interval))
        meter = MeterProvider(readers, resource=resource, shutdown_on_exit=False)
        log_limits = LogRecordLimits(max_log_record_attribute_length=settings.log_value_limit)
        logger = LoggerProvider(resource=resource, shutdown_on_exit=False, log_record_limits=log_limits)
        logger.add_log_record_processor(ValidLogs(settings.log_value_limit))
        for log_exporter in exporters.logs:
            with sdk_self_metrics():
                logger.add_log_record_processor(BatchLogRecordProcessor(log_exporter))
        return cls(tracer, meter, logger, exporters)

    def make_global(self) -> None:
        """Make these the process's providers, and have stdlib logging write to them."""
        trace.set_tracer_provider(self.tracer)
        metrics.set_meter_provider(self.meter)
        _logs.set_logger_provider(self.logger)
        if self.exporters.logs:
            self._detach_logging = export_logs(self.logger)

    def flush(self, seconds: float | None = None) -> None:
        """Send what is held now, all three signals at once. Blocks until it is sent or given up, at most for `seconds`."""
        flushes = (self.tracer.force_flush, self.meter.force_flush, self.logger.force_flush)
        threads = [threading.Thread(target=flush, name="otel-tutor-flush", daemon=True) for flush in flushes]
        for thread in threads:
            thread.start()
        deadline = None if seconds is None else time.monotonic() + seconds
        for thread in threads:
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))

    def shutdown(self, seconds: float) -> None:
        """Send what is left and stop, all three signals at once, within `seconds` whether or not anything answers."""
        self._detach_logging()
        deadline = time.monotonic() + seconds
        for stopper in self._stoppers:
            stopper.go.set()
        _join(self._stoppers, deadline - _ABORT_SECONDS)
        if any(stopper.is_alive() for stopper in self._stoppers):
            for exporter in self.exporters:
                exporter.shutdown()  # closes the channel under a call that waits
            _join(self._stoppers, deadline)

    def reset_after_fork(self, make_resource: Callable[[], Resource]) -> None:
        """In a forked child: begin without the parent's counts, under the child's own name, on its own connections."""
        upstream.forget_counts(self.meter)
        upstream.update_resource((self.meter, self.tracer, self.logger), make_resource)
        upstream.reconnect(self.exporters)
        self.prepare_shutdown()

    def prepare_shutdown(self) -> None:
        """Start the threads of `shutdown()` now: Python 3.12 starts none once it is exiting."""
        self._stoppers = [_Stopper(stop) for stop in (self.tracer.shutdown, self.meter.shutdown, self.logger.shutdown)]


def ensure_no_provider() -> None:
    """Raise ConfigurationError if the process has providers already: they can be set only once."""
    for name, current in (("tracer", trace.get_tracer_provider()), ("meter", metrics.get_meter_provider())):
        if not type(current).__module__.startswith(("opentelemetry.trace", "opentelemetry.metrics")):
            owner = f"{type(current).__module__}.{type(current).__qualname__}"
            raise ConfigurationError(
                f"a {name} provider is set already ({owner}): call otel_tutor.configure() before, or instead of, it"
            )


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
