"""Settings into the three OTLP exporters, and a limit on what they log."""

import logging
from typing import Final

from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import Histogram
from opentelemetry.sdk.metrics.view import Aggregation

from otel_tutor.pipeline.providers import Exporters
from otel_tutor.pipeline.self_metrics import sdk_self_metrics
from otel_tutor.pipeline.upstream import histogram_aggregation
from otel_tutor.recording.guard import EXPORT_FAILING
from otel_tutor.recording.state import state
from otel_tutor.settings import Settings

__all__ = ["otlp_exporters", "throttle_sdk_logs"]


def otlp_exporters(settings: Settings) -> Exporters:
    """One exporter for each signal; none for a signal that is switched off."""

    def endpoint(signal: str) -> str | None:
        # The exporter reads its signal's own variable only where it is passed nothing.
        return None if signal in settings.own_endpoints else settings.endpoint

    exports = settings.exports
    aggregation: dict[type, Aggregation] = {Histogram: histogram_aggregation()}
    with sdk_self_metrics():
        return Exporters(
            spans=OTLPSpanExporter(endpoint("traces")) if "traces" in exports else None,
            metrics=OTLPMetricExporter(endpoint("metrics"), preferred_aggregation=aggregation)
            if "metrics" in exports
            else None,
            logs=OTLPLogExporter(endpoint("logs")) if "logs" in exports else None,
        )


class _Throttle(logging.Handler):
    """Logs one of the SDK's own records a minute, as this package's, to the handlers that the app has."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._log: Final = logging.getLogger("otel_tutor")

    def emit(self, record: logging.LogRecord) -> None:
        if state.may_log_export():
            message = " ".join(record.getMessage().split())
            self._log.warning("%s: %s", EXPORT_FAILING, message)


def throttle_sdk_logs() -> None:
    """Limit the logs of the SDK and of gRPC to one line a minute: a Collector that is down must not flood an app's log."""
    for name in ("opentelemetry", "grpc"):
        logger = logging.getLogger(name)
        if not any(isinstance(handler, _Throttle) for handler in logger.handlers):
            logger.addHandler(_Throttle())
            logger.propagate = False
