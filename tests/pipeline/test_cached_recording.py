"""Cached recording leads to where the SDK's own record() does."""

import random

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


def test_a_forked_child_forgets_what_was_counted_and_counts_on() -> None:
    reader = InMemoryMetricReader()
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
