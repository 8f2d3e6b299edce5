"""Health checks, and the processes and host behind the service."""

from typing import Final

from dashboards.limits import alert
from dashboards.panels import Board, Panel, Query
from dashboards.promql import WORKERS, gauge, quantile, rate

__all__ = ["BOARD"]

BOARD: Final = Board(
    uid="otel-tutor-health",
    title="Tutor: health and runtime",
    description="Health checks, and the processes and host behind the service.",
    variables=(WORKERS,),
    panels=(
        Panel(
            title="Health",
            description="1 healthy, 0.5 degraded, 0 unhealthy, when it was last asked.",
            kind="stat",
            unit="short",
            queries=(Query(gauge("min", "health_status", by="job"), "{{job}}"),),
            threshold=1.0,
            lower_is_bad=True,
        ),
        Panel(
            title="Workers alive",
            description="Workers whose event loop turns.",
            kind="stat",
            unit="short",
            queries=(Query('sum by (job) (job_instance:event_loop:alive{job=~"$service"})', "{{job}}"),),
            threshold=1.0,
            lower_is_bad=True,
        ),
        Panel(
            title="Checks",
            description="Last result of each: 1 healthy, 0.5 degraded, 0 unhealthy.",
            kind="lines",
            unit="short",
            queries=(Query(gauge("min", "health_check_status", by="check"), "{{check}}"),),
        ),
        Panel(
            title="Duration of checks",
            description="One that takes over a second has failed.",
            kind="lines",
            unit="s",
            queries=(Query(gauge("max", "health_check_duration_seconds", by="check"), "{{check}}"),),
            threshold=1.0,
        ),
        Panel(
            title="Event loop lag, P99",
            description="How late callbacks run: every request waits for this.",
            kind="lines",
            unit="s",
            queries=(Query(quantile(0.99, "event_loop_lag_seconds", by="instance"), "{{instance}}"),),
        ),
        Panel(
            title="Processor time",
            description="Processors that each worker keeps busy.",
            kind="lines",
            unit="short",
            queries=(Query(rate("process_cpu_time_seconds_total", by="instance"), "{{instance}}"),),
        ),
        Panel(
            title="Memory",
            description="Physical memory of each worker.",
            kind="lines",
            unit="bytes",
            queries=(Query(gauge("max", "process_memory_usage_bytes", by="instance"), "{{instance}}"),),
        ),
        Panel(
            title="Threads and files",
            description="Of each worker.",
            kind="lines",
            unit="short",
            queries=(
                Query(gauge("max", "process_thread_count", by="instance"), "threads {{instance}}"),
                Query(gauge("max", "process_open_file_descriptor_count", by="instance"), "files {{instance}}"),
            ),
        ),
        Panel(
            title="Garbage collector",
            description="Runs each second.",
            kind="lines",
            unit="short",
            queries=(Query(rate("cpython_gc_collections_total", by="instance"), "{{instance}}"),),
        ),
        Panel(
            title="Disk",
            description="How full each disk of the host is.",
            kind="lines",
            unit="percentunit",
            queries=(Query('job_path:system_disk_usage:ratio{job=~"$service"}', "{{path}}"),),
            threshold=alert("LowDiskSpace"),
        ),
        Panel(
            title="Uptime",
            description="Since each worker began.",
            kind="lines",
            unit="s",
            queries=(Query(gauge("max", "process_uptime_seconds", by="instance"), "{{instance}}"),),
        ),
    ),
)
