"""Telemetry kept in memory, for tests: what an app's own tests and ours assert on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter
from opentelemetry.sdk.metrics import Counter, Histogram
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_tutor import lifecycle
from otel_tutor.instruments import forget_values
from otel_tutor.monitoring import metrics_collector
from otel_tutor.pipeline import Exporters
from otel_tutor.pipeline.histogram import SteadyExponentialHistogram
from otel_tutor.settings import Settings

__all__ = ["Capture", "Point", "capture"]


@dataclass(frozen=True, slots=True)
class Point:
    """One series of one instrument: its value, or count and sum of what a histogram saw, since the last `clear()`."""

    attributes: Mapping[str, Any]
    value: float | None = None
    count: int | None = None
    sum: float | None = None
    exemplar_trace_ids: tuple[int, ...] = ()


@dataclass(slots=True)
class Capture:
    """What this process emitted since the last `clear()`."""

    _spans: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    _logs: InMemoryLogRecordExporter = field(default_factory=InMemoryLogRecordExporter)
    _reader: InMemoryMetricReader = field(
        default_factory=lambda: InMemoryMetricReader(
            preferred_temporality=dict.fromkeys((Counter, Histogram), AggregationTemporality.DELTA),
            preferred_aggregation={Histogram: SteadyExponentialHistogram()},
        )
    )

    @property
    def spans(self) -> list[ReadableSpan]:
        """Finished spans, in the order they ended."""
        _flush()
        return list(self._spans.get_finished_spans())

    @property
    def logs(self) -> list[ReadableLogRecord]:
        """Log records, in the order they were written."""
        _flush()
        return list(self._logs.get_finished_logs())

    def read_metrics(self) -> dict[str, list[Point]]:
        """Every series since the last read, by instrument name."""
        data = self._reader.get_metrics_data()
        found: dict[str, list[Point]] = {}
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:  # two libraries may emit one name
                    found.setdefault(metric.name, []).extend(map(_point, metric.data.data_points))
        return found

    def clear(self) -> None:
        """Forget what was emitted so far."""
        _flush()
        self._spans.clear()
        self._logs.clear()
        self._reader.get_metrics_data()

    def reset(self) -> None:
        """Forget also what was stated (sessions, queue size, ...) and which values attributes have had."""
        forget_values()
        metrics_collector.forget()
        self.clear()


def capture() -> Capture:
    """Keep this process's telemetry in memory from now on; call it instead of, or before, `configure()`, once."""
    kept = Capture()
    lifecycle.start(Settings.read(), Exporters(spans=kept._spans, logs=kept._logs, reader=kept._reader))
    return kept


def _flush() -> None:
    running = lifecycle.providers()
    if running is not None:
        running.tracer.force_flush()
        running.logger.force_flush()


def _point(point: Any) -> Point:
    return Point(
        attributes=dict(point.attributes or {}),
        value=getattr(point, "value", None),
        count=getattr(point, "count", None),
        sum=getattr(point, "sum", None),
        exemplar_trace_ids=tuple(exemplar.trace_id for exemplar in point.exemplars),
    )
