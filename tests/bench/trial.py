"""What is timed, in a process that has nothing else to do, and where what it emits is kept and counted.

Ours and the peers keep it in the same way, in memory: exporters of OpenTelemetry's SDK, or a registry of Prometheus.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk import metrics as kinds
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, InMemoryLogRecordExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

__all__ = ["Memory", "Nothing", "Sink", "Trial", "ours", "plain_sdk"]

PARTS_OF_LOGS = ("timestamp", "severity_number", "body", "attributes", "trace_id", "span_id")
PARTS_OF_SPANS = ("name", "context", "parent", "kind", "start_time", "end_time", "status", "attributes", "events", "links")


class Sink(Protocol):
    """Where a variant's telemetry arrives."""

    def drain(self) -> Any:
        """Do what was deferred, and return what has arrived since the last call; this is timed."""

    def count(self, drained: Any) -> Mapping[str, float]:
        """How much of each kind that is: "spans", "logs", measurements by name, names with an exemplar; not timed."""


@dataclass(kw_only=True)
class Trial:
    """A variant. run: one round. each: what a round does so often. expected: what a round leaves, by its kind, exactly.

    verify: says what is wrong, or nothing, when all rounds are over.
    """

    run: Callable[[], object]
    each: int
    sink: Sink
    expected: Mapping[str, float]
    verify: Callable[[], str] = lambda: ""
    totals: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    rounds: int = 0

    def add(self, counts: Mapping[str, float]) -> None:
        """Account for what has arrived."""
        for kind, number in counts.items():
            self.totals[kind] += number

    def missing(self) -> str:
        """What did not arrive, or arrived twice; nothing if it is all there."""
        wrong = [
            f"{self.totals[kind]:g} instead of {number * self.rounds:g} {kind}"
            for kind, number in self.expected.items()
            if self.totals[kind] != number * self.rounds
        ]
        return ", ".join([*wrong, *filter(None, [self.verify()])])


class Nothing:
    """The sink of what emits nothing."""

    def drain(self) -> None:
        """Do nothing."""

    def count(self, _: None) -> Mapping[str, float]:
        """Nothing arrives."""
        return {}


class Memory:
    """Exporters in memory, of the SDK that runs in this process."""

    def __init__(self, aggregation: Mapping[type, Any] | None = None) -> None:
        self.spans = InMemorySpanExporter()
        self.logs = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # has no annotation
        self.reader = InMemoryMetricReader(preferred_aggregation=dict(aggregation or {}))  # totals, as OTLP exports them
        self._before: dict[str, float] = defaultdict(float)
        self.flush: Sequence[Callable[[], object]] = ()

    def drain(self) -> tuple[Any, Any, Any]:
        """Have the spans, log records and measurements made, all of each."""
        for flush in self.flush:
            flush()
        spans, logs, data = self.spans.get_finished_spans(), self.logs.get_finished_logs(), self.reader.get_metrics_data()
        self.spans.clear()
        self.logs.clear()
        for span in spans:  # as an exporter would: nothing of it may be left to be made
            for part in PARTS_OF_SPANS:
                getattr(span, part)
        for log in logs:
            for part in PARTS_OF_LOGS:
                getattr(log.log_record, part)
        return spans, logs, data

    def count(self, drained: tuple[Any, Any, Any]) -> Mapping[str, float]:
        """Spans, log records, and measurements by instrument."""
        spans, logs, data = drained
        counts = defaultdict[str, float](float, spans=len(spans), logs=len(logs))
        counts["logs in a trace"] = sum(1 for log in logs if log.log_record.trace_id)
        totals: dict[str, float] = defaultdict(float)
        scopes = [scope for resource in (data.resource_metrics if data else ()) for scope in resource.scope_metrics]
        for metric in (metric for scope in scopes for metric in scope.metrics):
            points = metric.data.data_points
            totals[metric.name] += sum(map(_number, points))
            if any(bool(point.exemplars) for point in points):
                counts[f"exemplars of {metric.name}"] = 1
        counts.update({name: total - self._before[name] for name, total in totals.items()})
        self._before = totals
        return counts


def _number(point: Any) -> float:
    """How many measurements a point of a histogram has, or the value of another."""
    return point.count if hasattr(point, "count") else point.value  # type: ignore[no-any-return]  # one of the SDK's


def ours(*, traces: bool = True) -> Memory:
    """otel_tutor, configured but for an app, with its own settings and random ids; a Collector is not needed."""
    from otel_tutor import lifecycle
    from otel_tutor.pipeline import Exporters
    from otel_tutor.pipeline.upstream import histogram_aggregation
    from otel_tutor.settings import Settings

    memory = Memory({kinds.Histogram: histogram_aggregation()})
    spans = [memory.spans] if traces else []
    lifecycle.start(Settings.read(), Exporters(spans=spans, logs=[memory.logs], reader=memory.reader))
    running = lifecycle.providers()
    assert running is not None, "otel_tutor is switched off in this environment"
    memory.flush = (running.tracer.force_flush, running.logger.force_flush)
    return memory


def plain_sdk(aggregation: Mapping[type, Any] | None = None) -> Memory:
    """The SDK as its documentation sets it up: batches, global providers; explicit buckets unless told otherwise."""
    memory = Memory(aggregation)
    tracer, logger = TracerProvider(shutdown_on_exit=False), LoggerProvider(shutdown_on_exit=False)
    tracer.add_span_processor(BatchSpanProcessor(memory.spans))
    logger.add_log_record_processor(BatchLogRecordProcessor(memory.logs))
    trace.set_tracer_provider(tracer)
    metrics.set_meter_provider(MeterProvider([memory.reader], shutdown_on_exit=False))
    _logs.set_logger_provider(logger)
    memory.flush = (tracer.force_flush, logger.force_flush)
    return memory
