"""From the OpenTelemetry API to OTLP: the only package that imports the SDK.

resource -> providers (traces, metrics, logs) -> otlp ==> Collector
"""

from otel_tutor.pipeline.children import shut_down_before_exit
from otel_tutor.pipeline.delivery import observe_losses
from otel_tutor.pipeline.neighbours import Neighbours
from otel_tutor.pipeline.otlp import make_exporters
from otel_tutor.pipeline.process import observe_process
from otel_tutor.pipeline.providers import Exporters, Providers
from otel_tutor.pipeline.resource import make_resource
from otel_tutor.pipeline.sdk_logs import throttle_sdk_logs
from otel_tutor.pipeline.upstream import cached_recording, trace_engine, try_all

__all__ = [
    "Exporters",
    "Neighbours",
    "Providers",
    "cached_recording",
    "make_exporters",
    "make_resource",
    "observe_losses",
    "observe_process",
    "shut_down_before_exit",
    "throttle_sdk_logs",
    "trace_engine",
    "try_all",
]
