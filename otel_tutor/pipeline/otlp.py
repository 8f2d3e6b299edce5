"""Settings into the three OTLP exporters."""

from typing import Any

from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import Histogram
from opentelemetry.sdk.metrics.view import Aggregation

from otel_tutor.pipeline.delivery import Delivery
from otel_tutor.pipeline.providers import Exporters
from otel_tutor.pipeline.self_metrics import sdk_self_metrics
from otel_tutor.pipeline.signals import Logs, Metrics, Signal, Spans
from otel_tutor.pipeline.upstream import histogram_aggregation, send_through
from otel_tutor.settings import Settings

__all__ = ["otlp_exporters"]


def otlp_exporters(settings: Settings) -> Exporters:
    """One exporter for each signal; none for a signal that is switched off."""

    def endpoint(signal: str) -> str | None:
        # The exporter reads its signal's own variable only where it is passed nothing.
        return None if signal in settings.own_endpoints else settings.endpoint

    exports = settings.exports
    aggregation: dict[type, Aggregation] = {Histogram: histogram_aggregation()}
    with sdk_self_metrics():
        exporters = Exporters(
            spans=OTLPSpanExporter(endpoint("traces")) if "traces" in exports else None,
            metrics=OTLPMetricExporter(endpoint("metrics"), preferred_aggregation=aggregation)
            if "metrics" in exports
            else None,
            logs=OTLPLogExporter(endpoint("logs")) if "logs" in exports else None,
        )
    _lose_single_records_only(exporters.spans, Spans(settings.value_limit))
    _lose_single_records_only(exporters.metrics, Metrics(settings.value_limit))
    _lose_single_records_only(exporters.logs, Logs())
    return exporters


def _lose_single_records_only(exporter: Any, signal: Signal) -> None:
    """Have `exporter` send a batch in parts where it cannot be sent as a whole."""
    delivery = Delivery(signal)
    if exporter is None or send_through(exporter, delivery):
        return
    export = exporter.export

    def export_pieces(batch: Any, *args: Any, **kwargs: Any) -> Any:
        results = [export(piece, *args, **kwargs) for piece in delivery.pieces(batch)]
        failed = [result for result in results if result.name != "SUCCESS"]
        return (failed or results)[0] if results else None

    exporter.export = export_pieces
