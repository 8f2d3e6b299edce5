"""Settings into the three OTLP exporters, and a lid on what they log."""

import logging
from typing import Final

from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import Histogram
from opentelemetry.sdk.metrics.view import Aggregation

from otel_tutor.pipeline.providers import Exporters
from otel_tutor.pipeline.self_metrics import counting_losses
from otel_tutor.pipeline.upstream import histogram_aggregation
from otel_tutor.recording.rate_limit import RateLimit
from otel_tutor.settings import Settings

__all__ = ["otlp_exporters", "quieten"]


def otlp_exporters(settings: Settings) -> Exporters:
    """One exporter a signal, none for a signal that is switched off."""

    def endpoint(signal: str) -> str | None:
        # The exporter reads its signal's own variable only where it is passed nothing.
        return None if signal in settings.own_endpoints else settings.endpoint

    exports = settings.exports
    aggregation: dict[type, Aggregation] = {Histogram: histogram_aggregation()}
    with counting_losses():
        return Exporters(
            spans=OTLPSpanExporter(endpoint("traces")) if "traces" in exports else None,
            metrics=OTLPMetricExporter(endpoint("metrics"), preferred_aggregation=aggregation)
            if "metrics" in exports
            else None,
            logs=OTLPLogExporter(endpoint("logs")) if "logs" in exports else None,
        )


class _Lid(logging.Handler):
    """Passes on one of the SDK's own log records a minute, under our name, to the handlers the app has."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._may_log: Final = RateLimit()
        self._log: Final = logging.getLogger("otel_tutor")

    def emit(self, record: logging.LogRecord) -> None:
        if self._may_log():
            message = " ".join(record.getMessage().split())
            self._log.warning("telemetry is not getting through (said once a minute): %s", message)


def quieten() -> None:
    """Keep the SDK's and gRPC's logs to one line a minute: a Collector that is down must not flood an app's log."""
    for name in ("opentelemetry", "grpc"):
        logger = logging.getLogger(name)
        if not any(isinstance(handler, _Lid) for handler in logger.handlers):
            logger.addHandler(_Lid())
            logger.propagate = False
