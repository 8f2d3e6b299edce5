"""Threads that export work in turns, and a request that is encoded in parts is the same request."""

import logging
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation

from otel_tutor.pipeline.points import Metrics
from otel_tutor.pipeline.signals import Logs
from otel_tutor.pipeline.turns import in_turns

ENOUGH = 20_000_000  # turns of a loop: seconds, in which a thread that waits has its turn, or never


@pytest.fixture
def interpreter_that_stays() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000)  # seconds: Python takes the interpreter from no thread
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("interpreter_that_stays")
def test_a_thread_that_waits_has_its_turn_while_another_works() -> None:
    had_its_turn, others = threading.Event(), threading.Event()

    def wait() -> None:
        others.wait()
        had_its_turn.set()

    threading.Thread(target=wait, daemon=True).start()

    others.set()  # the other thread can go on now, and has to wait for the interpreter
    assert any(had_its_turn.is_set() for _ in in_turns(range(ENOUGH)))


def metrics_data() -> MetricsData:
    reader = InMemoryMetricReader(preferred_aggregation={Histogram: ExponentialBucketHistogramAggregation()})
    provider = MeterProvider([reader], shutdown_on_exit=False)
    for scope in ("one", "other"):
        meter = provider.get_meter(scope)
        counter, few, histogram = meter.create_counter("many"), meter.create_counter("few"), meter.create_histogram("long")
        few.add(1)
        for number in range(50):
            counter.add(number, {"number": number})
            histogram.record(number, {"number": number})
    data = reader.get_metrics_data()
    assert data is not None
    return data


def clear_starts(request: Any) -> None:
    metrics = [metric for scope in request.resource_metrics[0].scope_metrics for metric in scope.metrics]
    for point in (point for metric in metrics for point in getattr(metric, metric.WhichOneof("data")).data_points):
        point.start_time_unix_nano = 0


def test_a_request_for_metrics_is_the_same_in_parts() -> None:
    data, signal = metrics_data(), Metrics(100)
    whole = encode_metrics(data)
    parts = signal.encode(signal.split(data))
    for request in (whole, parts):  # a series starts with its first point
        clear_starts(request)

    assert str(parts) == str(whole)


def test_a_request_for_logs_is_the_same_in_parts() -> None:
    exporter: Any = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # upstream has no types
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    handler = LoggingHandler(logger_provider=provider)
    for number in range(50):
        handler.emit(logging.LogRecord(f"logger {number // 20}", logging.INFO, "app.py", 1, f"line {number}", (), None))
    records = exporter.get_finished_logs()

    assert str(Logs().encode(records)) == str(encode_logs(records))
