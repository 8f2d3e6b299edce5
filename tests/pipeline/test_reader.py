"""A collection that fails is not the last one."""

import io
import math
from collections.abc import Iterable

from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter

from otel_tutor.pipeline.reader import SteadyReader
from otel_tutor.testing import Capture


class PanicException(BaseException):
    """Of an extension in Rust; the SDK does not expect it in a callback."""


def test_metrics_are_exported_after_a_collection_that_failed(captured: Capture) -> None:
    exported, asked = io.StringIO(), []

    def read(_: CallbackOptions) -> Iterable[Observation]:
        asked.append(1)
        if len(asked) == 1:
            raise PanicException("index out of bounds")
        return [Observation(1)]

    reader = SteadyReader(ConsoleMetricExporter(out=exported), math.inf)
    meter = MeterProvider([reader], shutdown_on_exit=False).get_meter("app")
    meter.create_observable_gauge("read", [read])
    meter.create_counter("answers").add(1)
    reader.collect()
    assert exported.getvalue() == ""

    reader.collect()
    assert "answers" in exported.getvalue()
