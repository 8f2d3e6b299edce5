"""Exponential histograms whose buckets stay as wide as they are."""

import bisect
import functools
import math
from types import SimpleNamespace
from typing import Any, Final

from opentelemetry.sdk.metrics import Histogram as SDKHistogram
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation

from otel_tutor.pipeline.turns import give_way
from otel_tutor.pipeline.upstream.adding import Adding, have_wait
from otel_tutor.pipeline.upstream.scratch import Scratch, filled
from otel_tutor.pipeline.upstream.workaround import WorkAround, is_usable, replace

__all__ = ["STEADY_HISTOGRAM", "histogram_aggregation"]

# Scale 4 makes a bucket 4.4 % wide, and 640 of them span twelve decades: 1 µs to 11 days, or 1 to 10^12 tokens. A histogram
# that starts finer, or holds less, has to widen as its range grows, and then counts of Prometheus buckets go down.
_MAX_SCALE: Final = 4
_MAX_BUCKETS: Final = 640


def histogram_aggregation() -> ExponentialBucketHistogramAggregation:
    """How histograms are aggregated: base-2 exponential."""
    aggregation = _steady_aggregation() if is_usable(STEADY_HISTOGRAM) else ExponentialBucketHistogramAggregation
    return aggregation(max_size=_MAX_BUCKETS, max_scale=_MAX_SCALE)


@functools.cache
def _steady_aggregation() -> type[ExponentialBucketHistogramAggregation]:
    from opentelemetry.sdk.metrics._internal.aggregation import _ExponentialBucketHistogramAggregation

    aggregate: Any = _ExponentialBucketHistogramAggregation.aggregate  # asks a measurement for its value only

    class Steady(_ExponentialBucketHistogramAggregation, Adding):
        zeros_are_exemplars = False

        def add_all(self, values: list[Any]) -> None:
            values.sort()
            first = 0
            while first < len(values):
                end = self.end_of_bucket(values, first)
                # The SDK makes room for each bucket, and sees the least and the greatest value; the rest is the same bucket.
                for place in {first, end - 1}:
                    aggregate(self, SimpleNamespace(value=values[place]), False)
                for value in self.not_added(values[first + 1 : end - 1]):
                    aggregate(self, SimpleNamespace(value=value), False)
                first = end

        def end_of_bucket(self, values: list[Any], first: int) -> int:
            """Where the sorted values end that are in one bucket with the first; a few of them may be left to the next."""
            same = bisect.bisect_right(values, values[first], first)
            if values[first] <= 0:
                return same
            mapping = self._mapping
            index = mapping.map_to_index(values[first])
            end = bisect.bisect_right(values, mapping.get_lower_boundary(index + 1), first)
            while end > same and mapping.map_to_index(values[end - 1]) != index:  # the boundary is rounded
                end -= 1
            return max(end, same)

        def not_added(self, values: list[float]) -> list[float]:
            """Add values of one bucket that is there; returns them where it is not, since it was exported meanwhile."""
            with self._lock:
                buckets = self._value_positive
                if values and values[0] == 0:
                    self._zero_count += len(values)
                    self._count += len(values)
                    return []
                if not values or values[0] < 0 or buckets is None:
                    return values
                index = self._mapping.map_to_index(values[0])
                if not buckets.index_start <= index <= buckets.index_end:
                    return values
                place = index - buckets.index_base
                buckets.increment_bucket(place if place >= 0 else place + len(buckets.counts), len(values))
                self._count += len(values)
                self._sum += sum(values)
                return []

        def collect(self, collection_aggregation_temporality: AggregationTemporality, collection_start_nano: int) -> Any:
            give_way()
            self.add_up()
            with self._lock:
                only_zeros = self._count and self._count == self._zero_count
                if only_zeros and collection_aggregation_temporality is AggregationTemporality.CUMULATIVE:
                    for name in ("_scale", "_value_positive", "_value_negative"):
                        replace(self, name, None)
            return super().collect(collection_aggregation_temporality, collection_start_nano)

        def _merge(
            self, previous_buckets: Any, current_buckets: Any, current_scale: int, min_scale: int, temporality: Any
        ) -> None:
            if not any(previous_buckets.counts):
                # Never filled, yet said to start at index 0: start where the first values are instead.
                start = current_buckets.index_start >> (current_scale - min_scale)
                replace(previous_buckets, "_counts", [0])
                previous_buckets.index_start = previous_buckets.index_end = previous_buckets.index_base = start
            super()._merge(previous_buckets, current_buckets, current_scale, min_scale, temporality)

    class SteadyAggregation(ExponentialBucketHistogramAggregation):
        def _create_aggregation(self, *args: Any, **kwargs: Any) -> Any:
            made: Any = super()._create_aggregation(*args, **kwargs)
            if isinstance(made, _ExponentialBucketHistogramAggregation):
                have_wait(made, Steady)
            return made

    return SteadyAggregation


def _keeps_its_scale() -> bool:
    """Whether intervals of zeros, at the start and later, leave the scale and every count as they are.

    The values are small: with buckets that begin at 1, as those of an interval of zeros do, they would not fit in.
    """
    aggregation = _steady_aggregation()(max_size=_MAX_BUCKETS, max_scale=_MAX_SCALE)
    scratch = Scratch(InMemoryMetricReader(preferred_aggregation={SDKHistogram: aggregation}))
    for interval in ([0.0], [1e-14, 1e-12], [0.0], [1e-13]):
        for value in interval:
            scratch.instrument.record(value)
        point = scratch.point()
    indexes = set(filled(point))
    expected = {math.ceil(math.log2(value) * 2**_MAX_SCALE) - 1 for value in (1e-14, 1e-12, 1e-13)}
    return bool((point.scale, point.count, point.zero_count, indexes) == (_MAX_SCALE, 5, 2, expected))


STEADY_HISTOGRAM: Final = WorkAround(
    name="steady histograms",
    distribution="opentelemetry-sdk",
    reason="In opentelemetry-sdk 1.45 an interval of zeros only makes the buckets of a histogram 2x wide until it restarts.",
    instead="histograms are the SDK's own exponential ones, which lose resolution after an interval of zeros",
    works=_keeps_its_scale,
)
