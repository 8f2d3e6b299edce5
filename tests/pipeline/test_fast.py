"""The short way of a measurement leads to where the long one does."""

import random

import pytest
from opentelemetry.metrics import NoOpMeter
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from otel_tutor.pipeline.fast import fast_recorder, forget_aggregations
from otel_tutor.pipeline.histogram import SteadyExponentialHistogram
from otel_tutor.testing import Capture
from otel_tutor.tracing import trace_operation


def collected(fast: bool) -> str:
    """What is exported of the same random measurements, times and exemplars left out."""
    reader = InMemoryMetricReader(preferred_aggregation={Histogram: SteadyExponentialHistogram()})
    histogram = MeterProvider([reader], shutdown_on_exit=False).get_meter("test").create_histogram("h")
    record = fast_recorder(histogram) if fast else histogram.record
    chance, exported = random.Random(7), []
    for _ in range(3):
        for _ in range(200):
            record(chance.choice([0, chance.lognormvariate(-2, 2)]), {"subject": chance.choice("abc"), "n": 1}, None)
        data = reader.get_metrics_data()
        assert data is not None
        points = data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
        exported += [(p.attributes, p.count, p.sum, p.scale, p.zero_count, p.positive) for p in points]  # type: ignore[union-attr]  # exponential
    return str(exported)


def test_every_export_is_the_same_either_way() -> None:
    assert collected(fast=True) == collected(fast=False)


def test_it_is_the_short_way_that_is_tested() -> None:
    histogram = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False).get_meter("test").create_histogram("h")

    assert fast_recorder(histogram) != histogram.record


def test_a_histogram_of_somebody_else_goes_the_long_way() -> None:
    histogram = NoOpMeter("none").create_histogram("h")

    assert fast_recorder(histogram) == histogram.record


@pytest.mark.usefixtures("captured")
def test_after_forgetting_nothing_is_lost() -> None:
    reader = InMemoryMetricReader()
    record = fast_recorder(MeterProvider([reader], shutdown_on_exit=False).get_meter("test").create_histogram("h"))
    for _ in range(3):
        record(1.0, {"a": "b"}, None)
        forget_aggregations()

    data = reader.get_metrics_data()
    assert data is not None
    assert data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points[0].count == 3  # type: ignore[union-attr]  # a histogram


def test_exemplars_take_the_short_way_too(captured: Capture) -> None:
    from otel_tutor.monitoring import metrics_collector

    for _ in range(5):
        with trace_operation("asked"):
            metrics_collector.track_rag_query("physics", 0.1, 3, 0.2)

    (point,) = captured.read_metrics()["rag.retrieval.duration"]
    assert set(point.exemplar_trace_ids) <= {span.context.trace_id for span in captured.spans}
    assert point.exemplar_trace_ids
