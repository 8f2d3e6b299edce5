"""Exponential histograms keep their resolution, whatever arrives in whatever order."""

import math
import random
from collections.abc import Iterable

import pytest
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import ExponentialHistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation

from otel_tutor.pipeline.upstream import histogram_aggregation

SCALE = 4


def collect(
    aggregation: ExponentialBucketHistogramAggregation, windows: Iterable[list[float]]
) -> ExponentialHistogramDataPoint:
    """The cumulative point after each window of values was recorded and collected."""
    reader = InMemoryMetricReader(preferred_aggregation={Histogram: aggregation})
    provider = MeterProvider([reader], shutdown_on_exit=False)
    histogram = provider.get_meter("test").create_histogram("h")
    for window in windows:
        for value in window:
            histogram.record(value)
        data = reader.get_metrics_data()
    provider.shutdown()
    assert data is not None
    point = data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points[0]
    assert isinstance(point, ExponentialHistogramDataPoint)
    return point


def index_of(value: float) -> int:
    return math.ceil(math.log2(value) * 16) - 1  # 2**SCALE buckets an octave


def counts(point: ExponentialHistogramDataPoint) -> dict[int, int]:
    buckets = point.positive
    return {buckets.offset + i: n for i, n in enumerate(buckets.bucket_counts) if n}


def test_an_interval_of_zeros_keeps_the_scale() -> None:
    point = collect(histogram_aggregation(), [[0.1, 0.2, 3.0], [0.0], [0.4]])

    assert (point.scale, point.zero_count, point.count) == (SCALE, 1, 5)


def test_the_sdk_still_loses_it_so_this_module_is_still_needed() -> None:
    point = collect(ExponentialBucketHistogramAggregation(max_size=320, max_scale=SCALE), [[0.1, 0.2, 3.0], [0.0], [0.4]])

    assert point.scale == 0


@pytest.mark.parametrize("seed", range(30))
def test_windows_add_up_to_what_one_pass_would_have_counted(seed: int) -> None:
    chance = random.Random(seed)
    windows = [
        [0.0 if chance.random() < 0.3 else chance.lognormvariate(-1, 2) for _ in range(chance.randrange(6))]
        for _ in range(12)
    ]
    windows.append([0.5])
    values = [value for window in windows for value in window]
    point = collect(histogram_aggregation(), windows)

    expected: dict[int, int] = {}
    for value in filter(None, values):
        expected[index_of(value)] = expected.get(index_of(value), 0) + 1
    assert point.scale == SCALE
    assert counts(point) == expected
    assert (point.zero_count, point.count) == (values.count(0.0), len(values))


def test_a_range_too_wide_for_the_buckets_loses_resolution_but_no_count() -> None:
    point = collect(histogram_aggregation(), [[1e-6], [0.0], [1e9], [1.0]])

    assert point.scale < SCALE
    assert sum(counts(point).values()) == 3
