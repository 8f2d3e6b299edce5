"""The process itself, by opentelemetry-instrumentation-system-metrics: processor, memory, threads, files, garbage."""

from typing import Final

from opentelemetry.instrumentation.system_metrics import SystemMetricsInstrumentor

__all__ = ["observe_process"]

# Its `system.*` metrics are left to Node Exporter and instrumentation.host; its `process.runtime.*` are duplicates.
_METRICS: Final[dict[str, list[str] | None]] = {
    "process.cpu.time": ["user", "system"],
    "process.memory.usage": None,
    "process.memory.virtual": None,
    "process.thread.count": None,
    "process.open_file_descriptor.count": None,
    "process.context_switches": ["involuntary", "voluntary"],
    "cpython.gc.collections": None,
    "cpython.gc.collected_objects": None,
    "cpython.gc.uncollectable_objects": None,
}


def observe_process() -> None:
    """Have this process measured at every export."""
    SystemMetricsInstrumentor(config=_METRICS).instrument()
