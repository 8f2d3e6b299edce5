"""What the exporters are made from."""

from opentelemetry.sdk.metrics import Histogram

from otel_tutor.pipeline import otlp_exporters
from otel_tutor.pipeline.upstream import histogram_aggregation
from otel_tutor.settings import Settings


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
