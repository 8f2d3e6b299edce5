"""Cached recording leads to where the SDK's own record() does."""

import random
import signal
import threading
from typing import Any

import pytest
from opentelemetry.metrics import NoOpMeter
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader

from otel_tutor.pipeline.upstream import cached_recording, forget_counts, histogram_aggregation
from otel_tutor.testing import Capture
from otel_tutor.tracing import trace_operation


def collected(cached: bool, temporality: AggregationTemporality) -> str:
    """What is exported of the same random measurements; not times, exemplars, and the order in which they are added."""
    reader = InMemoryMetricReader({Histogram: temporality}, {Histogram: histogram_aggregation()})
    histogram = MeterProvider([reader], shutdown_on_exit=False).get_meter("test").create_histogram("h")
    record = cached_recording(histogram) if cached else histogram.record
    chance, exported = random.Random(7), []
    for _ in range(3):
        for _ in range(200):
            record(chance.choice([0, chance.lognormvariate(-2, 2)]), {"subject": chance.choice("abc"), "n": 1}, None)
        data = reader.get_metrics_data()
        assert data is not None
        points = data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
        exported += [(p.attributes, p.count, round(p.sum, 9), p.scale, p.zero_count, p.positive) for p in points]  # type: ignore[union-attr]  # exponential
    return str(exported)


@pytest.mark.parametrize("temporality", [AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA])
def test_every_export_is_the_same_either_way(temporality: AggregationTemporality) -> None:
    assert collected(cached=True, temporality=temporality) == collected(cached=False, temporality=temporality)


def test_a_reader_that_is_added_later_gets_every_measurement_from_then_on() -> None:
    first, later = InMemoryMetricReader(), InMemoryMetricReader()
    provider = MeterProvider([first], shutdown_on_exit=False)
    record = cached_recording(provider.get_meter("test").create_histogram("h"))
    record(1.0, {"a": "b"}, None)
    record(1.0, {"a": "b"}, None)
    provider.add_metric_reader(later)
    record(1.0, {"a": "b"}, None)
    record(1.0, {"a": "b"}, None)

    assert [count(reader) for reader in (first, later)] == [4, 2]


def count(reader: InMemoryMetricReader) -> int:
    """How many measurements an export has of the only histogram."""
    data = reader.get_metrics_data()
    assert data is not None
    (point,) = data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
    return int(point.count)  # type: ignore[union-attr]  # a histogram


def test_it_is_cached_recording_that_is_tested() -> None:
    histogram = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False).get_meter("test").create_histogram("h")

    assert cached_recording(histogram) != histogram.record


def test_a_histogram_of_another_provider_is_recorded_by_itself() -> None:
    histogram = NoOpMeter("none").create_histogram("h")

    assert cached_recording(histogram) == histogram.record


@pytest.mark.parametrize("preferred", [{}, {Histogram: histogram_aggregation()}], ids=["added at once", "waiting"])
def test_a_forked_child_forgets_what_was_counted_and_counts_on(preferred: dict[type, Any]) -> None:
    reader = InMemoryMetricReader(preferred_aggregation=preferred)
    provider = MeterProvider([reader], shutdown_on_exit=False)
    record = cached_recording(provider.get_meter("test").create_histogram("h"))
    for _ in range(3):
        record(1.0, {"a": "b"}, None)
    forget_counts(provider)
    record(1.0, {"a": "b"}, None)
    record(1.0, {"a": "b"}, None)

    assert count(reader) == 2


def test_cached_recording_keeps_exemplars(captured: Capture) -> None:
    from otel_tutor.monitoring import metrics_collector

    for _ in range(5):
        with trace_operation("asked"):
            metrics_collector.track_rag_query("physics", 0.1, 3, 0.2)

    (point,) = captured.read_metrics()["rag.retrieval.duration"]
    assert set(point.exemplar_trace_ids) <= {span.context.trace_id for span in captured.spans}
    assert point.exemplar_trace_ids


@pytest.mark.parametrize("kind", ["create_histogram", "create_counter"])
def test_threads_that_record_while_others_export_lose_nothing(kind: str) -> None:
    reader = InMemoryMetricReader(preferred_aggregation={Histogram: histogram_aggregation()})
    record = cached_recording(getattr(MeterProvider([reader], shutdown_on_exit=False).get_meter("test"), kind)("i"))

    def work() -> None:
        for number in range(5000):
            record(number % 7 / 8, {"a": "b"}, None)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        reader.get_metrics_data()
    for thread in threads:
        thread.join()

    data: Any = reader.get_metrics_data()
    (point,) = data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
    assert getattr(point, "count", 20_000) == 20_000
    assert getattr(point, "sum", None) or point.value == pytest.approx(4 * sum(number % 7 / 8 for number in range(5000)))


@pytest.mark.parametrize("kind", ["create_histogram", "create_counter"])
def test_a_signal_handler_may_record_while_its_thread_records_and_exports(kind: str) -> None:
    reader = InMemoryMetricReader(preferred_aggregation={Histogram: histogram_aggregation()})
    record = cached_recording(getattr(MeterProvider([reader], shutdown_on_exit=False).get_meter("test"), kind)("i"))
    record(1.0, {"a": "b"}, None)
    handled: list[int] = []

    def handle(*_: object) -> None:
        record(1.0, {"a": "b"}, None)
        handled.append(1)

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0003)
    recorded = 1
    try:
        while len(handled) < 300:  # each interrupts this loop at another place
            record(1.0, {"a": "b"}, None)
            recorded += 1
            if recorded % 20 == 0:
                reader.get_metrics_data()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    data: Any = reader.get_metrics_data()
    (point,) = data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
    assert (point.count if kind == "create_histogram" else point.value) == recorded + len(handled)
