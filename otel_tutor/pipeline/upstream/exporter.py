"""Exporters that pass whole batches on."""

from collections.abc import Callable
from typing import Any, Final

from grpc import Compression  # type: ignore[import-untyped]  # ships no types
from opentelemetry import metrics
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import MetricsData

from otel_tutor.pipeline.upstream.fork import OTLP_EXPORTERS
from otel_tutor.pipeline.upstream.workaround import WorkAround, is_usable, replace

__all__ = ["WHOLE_BATCHES", "send_through"]


def send_through(exporter: Any, client: Callable[[Any], Any]) -> bool:
    """Have `exporter` pass its batches, not yet encoded, to `client(channel).Export`. Returns whether it does."""
    if is_usable(WHOLE_BATCHES):
        _send_through(exporter, client)
    return is_usable(WHOLE_BATCHES)


def _send_through(exporter: Any, client: Callable[[Any], Any]) -> None:
    replace(exporter, "_translate_data", lambda batch: batch)
    replace(exporter, "_stub", client)
    exporter._initialize_channel_and_stub()


def _passes_its_batch() -> bool:
    return all(_passed_by(exporter) for exporter in OTLP_EXPORTERS)


def _passed_by(exporter_type: Any) -> bool:
    """Whether a scratch exporter passes just what it is given. It connects to nothing: a channel does so when it sends."""
    passed: list[object] = []

    class Client:
        def __init__(self, _: object) -> None:
            self.Export = lambda request, **_: passed.append(request)

    options: dict[str, Any] = {"meter_provider": metrics.NoOpMeterProvider(), "compression": Compression.NoCompression}
    exporter = exporter_type("http://localhost:1", **options)
    try:
        _send_through(exporter, Client)
        batch: Any = MetricsData([]) if exporter_type is OTLPMetricExporter else []
        exporter.export(batch)
    finally:
        exporter.shutdown()
    return len(passed) == 1 and passed[0] is batch


WHOLE_BATCHES: Final = WorkAround(
    name="whole batches",
    distribution="opentelemetry-exporter-otlp-proto-grpc",
    reason="opentelemetry-exporter-otlp-proto-grpc 1.45 loses a batch for one record, and does not say why it was refused.",
    instead="a batch is encoded twice to know its size, and one that the receiver refuses is lost",
    works=_passes_its_batch,
)
