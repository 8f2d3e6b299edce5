"""From the OpenTelemetry API to OTLP: the only package that imports the SDK.

resource -> providers (traces, metrics, logs) -> otlp ==> Collector
"""

from otel_tutor.pipeline.fast import fast_recorder
from otel_tutor.pipeline.fork import renew_after_fork
from otel_tutor.pipeline.otlp import otlp_exporters, quieten
from otel_tutor.pipeline.process import observe_process
from otel_tutor.pipeline.providers import Exporters, Providers, check_unclaimed
from otel_tutor.pipeline.resource import make_resource

__all__ = [
    "Exporters",
    "Providers",
    "check_unclaimed",
    "fast_recorder",
    "make_resource",
    "observe_process",
    "otlp_exporters",
    "quieten",
    "renew_after_fork",
]
