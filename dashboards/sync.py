"""What waits for the central database, and how its moving goes."""

from typing import Final

from dashboards.limits import alert
from dashboards.panels import Board, Panel, Query
from dashboards.promql import WORKERS, quantile, rate

__all__ = ["BOARD"]

BOARD: Final = Board(
    uid="otel-tutor-sync",
    title="Tutor: sync",
    description="What waits for the central database, and how its moving goes.",
    variables=(WORKERS,),
    panels=(
        Panel(
            title="Records that wait",
            description="The queue of the outbox.",
            kind="lines",
            unit="short",
            queries=(Query('max by (job) (sync_queue_size{job=~"$service"})', "{{job}}"),),
            threshold=alert("LargeSyncQueue"),
        ),
        Panel(
            title="Synchronisations by outcome",
            description="In each minute.",
            kind="lines",
            unit="cpm",
            queries=(Query(rate("sync_operations_total", by="status") + " * 60", "{{status}}"),),
        ),
        Panel(
            title="Duration, P95",
            description="Of one synchronisation.",
            kind="lines",
            unit="s",
            queries=(Query(quantile(0.95, "sync_duration_seconds", by="job"), "{{job}}", exemplars=True),),
        ),
        Panel(
            title="Records moved",
            description="Each second, by type.",
            kind="lines",
            unit="short",
            queries=(Query(rate("sync_records_processed_total", by="record_type"), "{{record_type}}"),),
        ),
        Panel(
            title="Share that fails",
            description="Failed synchronisations among all.",
            kind="lines",
            unit="percentunit",
            queries=(Query('job:sync_operations:error_ratio_rate2m{job=~"$service"}', "{{job}}"),),
            threshold=alert("HighSyncFailureRate"),
        ),
        Panel(
            title="Sessions",
            description="Student sessions open now.",
            kind="lines",
            unit="short",
            queries=(Query('sum by (job) (student_sessions_active{job=~"$service"})', "{{job}}"),),
        ),
    ),
)
