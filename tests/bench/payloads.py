"""Requests of OTLP as a tutor makes them, prepared once and sent as they are, again and again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc  # type: ignore[import-untyped]  # ships no types
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from opentelemetry.util.types import AnyValue

__all__ = ["Payload", "payloads", "send"]

METHODS = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
IN_FLIGHT = 4  # requests that wait for their answers


@dataclass(frozen=True)
class Payload:
    """A request of one signal, and how many records it has."""

    method: str
    content: bytes
    records: int


def payloads() -> Mapping[str, Payload]:
    """One of each signal."""
    made: Mapping[str, Callable[[], tuple[Any, int]]] = {"traces": _spans, "metrics": _points, "logs": _records}
    found = {}
    for signal, make in made.items():
        request, records = make()
        found[signal] = Payload(METHODS[signal], request.SerializeToString(), records)
    return found


def send(address: str, payload: Payload, times: int) -> None:
    """Send it so often, some requests side by side. Raises grpc.RpcError where one is refused."""
    with grpc.insecure_channel(address.removeprefix("http://")) as channel:
        call = channel.unary_unary(payload.method)
        waiting: list[Any] = []
        for _ in range(times):
            if len(waiting) == IN_FLIGHT:
                waiting.pop(0).result()
            waiting.append(call.future(payload.content, timeout=60))
        for answer in waiting:
            answer.result()


def _spans() -> tuple[Any, int]:
    """A request, its question, a search and a statement, 128 times."""
    kept, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("otel_tutor")
    request: dict[str, AnyValue] = {
        "http.request.method": "GET",
        "http.route": "/ask/{subject}",
        "url.path": "/ask/physics",
        "url.scheme": "http",
        "server.address": "tutor.example",
        "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        "http.response.status_code": 200,
    }
    question: dict[str, AnyValue] = {"tutor.subject": "physics", "rag.question.length": 25, "tutor.outcome": "success"}
    statement = {"db.system.name": "sqlite", "db.query.text": "SELECT id, text FROM passages WHERE subject = ?"}
    for _ in range(128):
        with (
            tracer.start_as_current_span("GET /ask/{subject}", kind=SpanKind.SERVER, attributes=request),
            tracer.start_as_current_span("rag.query", attributes=question),
        ):
            with tracer.start_as_current_span("rag.retrieval", attributes={"rag.retrieval.top_k": 5}):
                pass
            with tracer.start_as_current_span("SELECT", kind=SpanKind.CLIENT, attributes=statement):
                pass
    spans = kept.get_finished_spans()
    return encode_spans(spans), len(spans)


def _points() -> tuple[Any, int]:
    """A counter and three histograms of 40 subjects, as otel_tutor sends them."""
    reader = InMemoryMetricReader(preferred_aggregation={Histogram: ExponentialBucketHistogramAggregation()})
    meter = MeterProvider([reader], shutdown_on_exit=False).get_meter("otel_tutor")
    queries = meter.create_counter("rag.queries")
    names = ("rag.retrieval.duration", "rag.context.documents", "rag.generation.duration")
    histograms = [meter.create_histogram(name, unit="s") for name in names]
    for number in range(40 * 20):
        subject = {"tutor.subject": f"subject {number % 40}"}
        queries.add(1, {**subject, "tutor.outcome": "success"})
        for histogram in histograms:
            histogram.record(0.01 * (number % 97 + 1), subject)
    data = reader.get_metrics_data()
    assert data is not None
    return encode_metrics(data), 4 * 40


def _records() -> tuple[Any, int]:
    """512 lines of a log."""
    kept = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # has no annotation
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(kept))
    logger = provider.get_logger("tutor")
    for number in range(512):
        body = f"answered question {number} in physics with 5 passages in 0.8 s"
        attributes: dict[str, AnyValue] = {
            "code.function.name": "ask",
            "code.file.path": "/app/tutor.py",
            "code.line.number": 42,
        }
        logger.emit(LogRecord(severity_number=SeverityNumber.INFO, severity_text="INFO", body=body, attributes=attributes))
    records = kept.get_finished_logs()
    return encode_logs(records), len(records)
