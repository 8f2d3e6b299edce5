"""What the exporters are made from."""

import pytest
from opentelemetry.sdk._logs.export import ConsoleLogRecordExporter
from opentelemetry.sdk.metrics import Histogram
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter

from otel_tutor.pipeline import make_exporters
from otel_tutor.pipeline.upstream import histogram_aggregation
from otel_tutor.settings import Settings

METRICS_ALONE = {"OTEL_TRACES_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}


def test_a_signal_that_is_switched_off_has_no_exporter() -> None:
    exporters = make_exporters(Settings.read(environ=METRICS_ALONE))

    assert not exporters.spans
    assert not exporters.logs
    (exporter,) = exporters.metrics
    exporter.shutdown()


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_histograms_are_exponential(protocol: str) -> None:
    settings = Settings.read(environ={**METRICS_ALONE, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol})
    (exporter,) = make_exporters(settings).metrics

    assert exporter._preferred_aggregation is not None
    assert type(exporter._preferred_aggregation[Histogram]) is type(histogram_aggregation())
    exporter.shutdown()


def test_a_signal_goes_to_each_exporter_of_its_list() -> None:
    environ = {**METRICS_ALONE, "OTEL_METRICS_EXPORTER": "otlp, console", "OTEL_LOGS_EXPORTER": "console"}
    exporters = make_exporters(Settings.read(environ=environ))

    assert isinstance(exporters.metrics[1], ConsoleMetricExporter)
    assert len(exporters.metrics) == 2
    assert [type(exporter) for exporter in exporters.logs] == [ConsoleLogRecordExporter]
    exporters.metrics[0].shutdown()
