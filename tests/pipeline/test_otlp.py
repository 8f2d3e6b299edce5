"""What the exporters are made from, and how much the SDK may log."""

import logging
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.metrics import Histogram

from otel_tutor.pipeline import otlp_exporters
from otel_tutor.pipeline.upstream import histogram_aggregation
from otel_tutor.recording.guard import EXPORT_FAILING
from otel_tutor.settings import Settings
from otel_tutor.testing import Capture


@pytest.fixture
def shown() -> Iterator[list[str]]:
    """What the handlers of an app get: they are at the root logger."""
    lines: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.name}: {record.getMessage()}")

    handler = Handler()
    logging.getLogger().addHandler(handler)
    yield lines
    logging.getLogger().removeHandler(handler)


@pytest.mark.parametrize("name", ["opentelemetry.exporter.otlp", "grpc"])
def test_many_errors_of_an_exporter_are_one_line(captured: Capture, shown: list[str], name: str) -> None:
    for number in range(5):
        logging.getLogger(name).error("Failed to export,\nerror code: %s", number)

    assert shown == [f"otel_tutor: {EXPORT_FAILING}: Failed to export, error code: 0"]


def test_what_the_sdk_logs_below_a_warning_is_not_shown(captured: Capture, shown: list[str]) -> None:
    logging.getLogger("opentelemetry.sdk").info("Shutdown called")

    assert shown == []


def test_a_signal_that_is_switched_off_has_no_exporter() -> None:
    environ = {"OTEL_TRACES_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
    exporters = otlp_exporters(Settings.read(environ=environ))

    assert (exporters.spans, exporters.logs) == (None, None)
    assert exporters.metrics is not None
    exporters.metrics.shutdown()


def test_histograms_are_exponential() -> None:
    environ = {"OTEL_TRACES_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
    exporter = otlp_exporters(Settings.read(environ=environ)).metrics

    assert exporter is not None
    assert exporter._preferred_aggregation is not None
    assert type(exporter._preferred_aggregation[Histogram]) is type(histogram_aggregation())
    exporter.shutdown()
