"""Something of the SDK's to try a work-around on."""

from typing import Any

from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.resources import Resource

__all__ = ["Scratch", "filled"]


class Scratch:
    """An instrument and its provider, to try something on: a histogram or a counter."""

    def __init__(self, reader: MetricReader, kind: type = Histogram) -> None:
        self.reader: Any = reader
        self.provider: Any = MeterProvider([reader], resource=Resource.get_empty(), shutdown_on_exit=False)
        meter: Any = self.provider.get_meter("otel_tutor.upstream")
        self.instrument: Any = (meter.create_counter if kind is Counter else meter.create_histogram)("scratch")

    def point(self) -> Any:
        """What an export would have of it now."""
        return self.reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics[0].data.data_points[0]


def filled(point: Any) -> dict[int, int]:
    """The counts of an exponential histogram's point by the index of their bucket."""
    return {point.positive.offset + place: count for place, count in enumerate(point.positive.bucket_counts) if count}
