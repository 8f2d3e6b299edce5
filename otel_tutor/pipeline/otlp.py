"""Settings into exporters: OTLP over gRPC or HTTP, and the console."""

from collections.abc import Callable
from typing import Any, Final

from grpc import Compression  # type: ignore[import-untyped]  # ships no types
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs.export import ConsoleLogRecordExporter
from opentelemetry.sdk.metrics import Histogram
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter
from opentelemetry.sdk.trace.export import ConsoleSpanExporter

from otel_tutor.environment import HTTP
from otel_tutor.pipeline.delivery import Delivery
from otel_tutor.pipeline.points import Metrics
from otel_tutor.pipeline.providers import Exporters
from otel_tutor.pipeline.self_metrics import sdk_self_metrics
from otel_tutor.pipeline.signals import Logs, Signal, Spans
from otel_tutor.pipeline.upstream import histogram_aggregation, send_through
from otel_tutor.settings import Settings

__all__ = ["make_exporters"]

_GRPC: Final[dict[str, Callable[..., Any]]] = {
    "traces": OTLPSpanExporter,
    "metrics": OTLPMetricExporter,
    "logs": OTLPLogExporter,
}
_CONSOLE: Final[dict[str, Callable[[], Any]]] = {
    "traces": ConsoleSpanExporter,
    "metrics": ConsoleMetricExporter,
    "logs": ConsoleLogRecordExporter,
}
# gRPC doubles the time between two attempts to connect, up to two minutes: long after a receiver is back.
_RECONNECTION: Final = (
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 2000),
)


def make_exporters(settings: Settings) -> Exporters:
    """The exporters of each signal; none for a signal that is switched off."""
    signals: tuple[Signal, ...] = (Spans(settings.value_limit), Metrics(settings.value_limit), Logs())
    deliveries = [Delivery(signal) for signal in signals]
    with sdk_self_metrics():
        spans, metrics, logs = (_exporters_of(*each, settings) for each in zip(signals, deliveries, strict=True))
    return Exporters(spans=spans, metrics=metrics, logs=logs, deliveries=deliveries)


def _exporters_of(signal: Signal, delivery: Delivery, settings: Settings) -> list[Any]:
    names = settings.exporters[signal.name]
    exporters = [_otlp_exporter(signal, delivery, settings)] if "otlp" in names else []
    return [*exporters, *([_CONSOLE[signal.name]()] if "console" in names else [])]


def _otlp_exporter(signal: Signal, delivery: Delivery, settings: Settings) -> Any:
    options: dict[str, Any] = (
        {"preferred_aggregation": {Histogram: histogram_aggregation()}} if signal.name == "metrics" else {}
    )
    has_own = signal.name in settings.own_endpoints  # the exporter reads that variable where it is passed nothing
    if settings.protocols[signal.name] == HTTP:
        from otel_tutor.pipeline.otlp_http import http_exporter

        return http_exporter(signal, None if has_own else settings.http_endpoint, **options)
    if settings.compressions[signal.name] == "none":  # which the exporter does not take from its variable
        options["compression"] = Compression.NoCompression
    exporter = _GRPC[signal.name](None if has_own else settings.endpoint, channel_options=_RECONNECTION, **options)
    _lose_single_records_only(exporter, delivery)
    return exporter


def _lose_single_records_only(exporter: Any, delivery: Delivery) -> None:
    """Have `exporter` send a batch in parts where it cannot be sent as a whole."""
    if send_through(exporter, delivery):
        return
    export = exporter.export

    def export_parts(batch: Any, *args: Any, **kwargs: Any) -> Any:
        results = [export(part, *args, **kwargs) for part in delivery.parts(batch)]
        failed = [result for result in results if result.name != "SUCCESS"]
        return (failed or results)[0] if results else None

    exporter.export = export_parts
