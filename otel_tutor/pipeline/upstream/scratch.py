"""Something of the SDK's to try a work-around on."""

from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricReader,
)
from opentelemetry.sdk.resources import Resource

__all__ = ["Scratch", "filled"]


class Scratch:
    """A histogram with its own provider, to try something on."""

    def __init__(self, reader: MetricReader) -> None:
        self.reader: Any = reader
        self.provider: Any = MeterProvider([reader], resource=Resource.get_empty(), shutdown_on_exit=False)
        self.histogram: Any = self.provider.get_meter("otel_tutor.upstream").create_histogram("scratch")

    def point(self) -> Any:
        """What an export would have of it now."""
        return self.reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics[0].data.data_points[0]


def filled(point: Any) -> dict[int, int]:
    """The counts of an exponential histogram's point by the index of their bucket."""
    return {point.positive.offset + place: count for place, count in enumerate(point.positive.bucket_counts) if count}
