"""Exponential histograms that keep their resolution over intervals of zeros only.

As of opentelemetry-sdk 1.45 an interval in which a histogram saw nothing but zeros pulls its cumulative scale down to 0, for
good: buckets are twice as wide as their lower bound from then on. Zero is a normal value here (no passage found, no token
written). The subclass lets such an interval leave the scale alone. It touches private parts of the SDK;
`tests/pipeline/test_histogram.py` tells when they change, and when a release makes this file superfluous.
"""

from typing import Any, Final

from opentelemetry.sdk.metrics._internal.aggregation import _Aggregation, _ExponentialBucketHistogramAggregation
from opentelemetry.sdk.metrics._internal.exponential_histogram.buckets import Buckets
from opentelemetry.sdk.metrics.export import AggregationTemporality
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation

__all__ = ["SteadyExponentialHistogram"]

# Scale 4 makes a bucket 4.4 % wide, and 640 of them span twelve decades: 1 µs to 11 days, or 1 to 10^12 tokens. A histogram
# that starts finer, or holds less, has to widen as its range grows, and then counts of Prometheus buckets go down.
_MAX_SCALE: Final = 4
_MAX_BUCKETS: Final = 640


class _Steady(_ExponentialBucketHistogramAggregation):
    def collect(self, collection_aggregation_temporality: AggregationTemporality, collection_start_nano: int) -> Any:
        with self._lock:
            only_zeros = self._count and self._count == self._zero_count
            if only_zeros and collection_aggregation_temporality is AggregationTemporality.CUMULATIVE:
                self._scale = self._value_positive = self._value_negative = None
        return super().collect(collection_aggregation_temporality, collection_start_nano)

    def _merge(
        self, previous_buckets: Buckets, current_buckets: Buckets, current_scale: int, min_scale: int, temporality: Any
    ) -> None:
        if not any(previous_buckets.counts):
            # Never filled, yet said to start at index 0: start where the first values are instead.
            start = current_buckets.index_start >> (current_scale - min_scale)
            previous_buckets._counts = [0]
            previous_buckets.index_start = previous_buckets.index_end = previous_buckets.index_base = start
        super()._merge(previous_buckets, current_buckets, current_scale, min_scale, temporality)


class SteadyExponentialHistogram(ExponentialBucketHistogramAggregation):
    """Base-2 exponential histogram aggregation in which an interval of zeros costs no resolution."""

    def __init__(self) -> None:
        super().__init__(max_size=_MAX_BUCKETS, max_scale=_MAX_SCALE)

    def _create_aggregation(self, *args: Any, **kwargs: Any) -> _Aggregation[Any]:
        made = super()._create_aggregation(*args, **kwargs)
        if isinstance(made, _ExponentialBucketHistogramAggregation):
            made.__class__ = _Steady
        return made
