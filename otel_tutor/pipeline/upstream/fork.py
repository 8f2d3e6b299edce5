"""What a forked child must not share with its parent: counts, locks, its name, its connections."""

import math
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    ConsoleMetricExporter,
    InMemoryMetricReader,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from otel_tutor.pipeline.upstream.scratch import Scratch
from otel_tutor.pipeline.upstream.workaround import WorkAround, is_usable, replace
from otel_tutor.recording.state import state

__all__ = [
    "FORKED_CONNECTION",
    "FORKED_COUNTS",
    "FORKED_NAME",
    "OTLP_EXPORTERS",
    "forget_counts",
    "reconnect",
    "update_resource",
]

OTLP_EXPORTERS: Final = (OTLPSpanExporter, OTLPMetricExporter, OTLPLogExporter)


def forget_counts(provider: MeterProvider) -> None:
    """In a forked child: start at zero, with locks that no thread of the parent holds."""
    if is_usable(FORKED_COUNTS):
        _forget_counts(provider)


def _forget_counts(provider: Any) -> None:
    consumer = provider._measurement_consumer
    replace(consumer, "_lock", threading.Lock())
    for reader, storage in consumer._reader_storages.items():
        replace(storage, "_lock", threading.RLock())
        replace(storage, "_instrument_view_instrument_matches", {})
        if isinstance(reader, PeriodicExportingMetricReader):
            replace(reader, "_export_lock", threading.Lock())
    for known in state.remembered:
        known.clear()


def _starts_at_zero() -> bool:
    """Whether it finds all it replaces, in a reader as in production as well, and what was recorded before is gone."""
    _forget_counts(Scratch(PeriodicExportingMetricReader(ConsoleMetricExporter(), math.inf)).provider)  # endless: no thread
    scratch = Scratch(InMemoryMetricReader())
    scratch.instrument.record(1.0)
    _forget_counts(scratch.provider)
    scratch.instrument.record(2.0)
    return bool(scratch.point().count == 1)


def update_resource(providers: Iterable[Any], resource: Callable[[], Resource]) -> None:
    """In a forked child: export under the name in `resource` from now on."""
    if is_usable(FORKED_NAME):
        own = resource()
        for provider in providers:
            _add_to_resource(provider, own)


def _add_to_resource(provider: Any, own: Resource) -> None:
    if hasattr(provider, "_update_resource"):  # from 1.44 on
        provider._update_resource(own)
        return
    if isinstance(provider, MeterProvider):
        provider = provider._sdk_config
        replace(provider, "resource", provider.resource.merge(own))
        return
    merged = provider.resource.merge(own)
    replace(provider, "_resource", merged)
    if isinstance(provider, TracerProvider):
        for tracer in provider._tracers.values():
            replace(tracer, "resource", merged)
    else:
        for logger in provider._active_loggers:
            replace(logger, "_resource", merged)


def _exports_under_another_name() -> bool:
    """Whether a span, a metric and a log record have it, of a tracer, meter and logger that were there before as well."""
    before, after = Resource({"name": "parent"}), Resource({"name": "child"})
    tracers, loggers = (
        TracerProvider(ALWAYS_ON, before, shutdown_on_exit=False),
        LoggerProvider(before, shutdown_on_exit=False),
    )
    tracer, logger, scratch = tracers.get_tracer("scratch"), loggers.get_logger("scratch"), Scratch(InMemoryMetricReader())
    for provider in (tracers, loggers, scratch.provider):
        _add_to_resource(provider, after)
    span: Any = tracer.start_span("scratch")
    scratch.instrument.record(1.0)
    metric = scratch.reader.get_metrics_data().resource_metrics[0]
    named: list[Any] = [span, metric, logger, tracers.get_tracer("later").start_span("scratch"), loggers.get_logger("later")]
    return all(signal.resource.attributes["name"] == "child" for signal in named)


def reconnect(exporters: Iterable[object]) -> None:
    """In a forked child: give each OTLP exporter among `exporters` its own connection."""
    if is_usable(FORKED_CONNECTION):
        for exporter in exporters:
            if isinstance(exporter, OTLP_EXPORTERS):
                exporter._initialize_channel_and_stub()  # type: ignore[no-untyped-call]  # upstream has no types


def _can_reconnect() -> bool:
    return all(callable(exporter._initialize_channel_and_stub) for exporter in OTLP_EXPORTERS)


FORKED_COUNTS: Final = WorkAround(
    name="counts of a forked child",
    distribution="opentelemetry-sdk",
    reason="In opentelemetry-sdk 1.45 a child keeps its parent's counts, and the locks that threads of its parent held.",
    instead="a forked child adds to its parent's counts",
    works=_starts_at_zero,
)


FORKED_NAME: Final = WorkAround(
    name="name of a forked child",
    distribution="opentelemetry-sdk",
    reason="opentelemetry-sdk 1.44 gives a child a random service.instance.id, so each restart leaves a ghost; 1.43 none.",
    instead="a forked child has the service.instance.id that the SDK gives it: a random one, in 1.43 its parent's",
    works=_exports_under_another_name,
)


FORKED_CONNECTION: Final = WorkAround(
    name="connection of a forked child",
    distribution="opentelemetry-exporter-otlp-proto-grpc",
    reason="With opentelemetry-exporter-otlp-proto-grpc 1.45 a child goes on with its parent's channel, which gRPC forbids.",
    instead="a forked child's exporters connect again after their first failure",
    works=_can_reconnect,
)
