"""Is the tutor well? Seven panels, each leading to more."""

from typing import Final

from dashboards.limits import alert, objective
from dashboards.panels import Board, Panel, Query

__all__ = ["BOARD"]

BOARD: Final = Board(
    uid="otel-tutor-overview",
    title="Tutor: overview",
    description="Is the tutor well? Seven panels, each leading to more.",
    refresh="5s",
    panels=(
        Panel(
            title="Request rate",
            description="Requests answered each second, over two minutes.",
            kind="gauge",
            unit="reqps",
            queries=(Query('sum(job:http_requests:rate2m{job=~"$service"})', "requests"),),
            link="otel-tutor-api",
            max=100,
        ),
        Panel(
            title="Processors",
            description="Share of the host's processors in use; the objective is the red line.",
            kind="gauge",
            unit="percent",
            queries=(Query('max(job:system_cpu_usage_percent:max{job=~"$service"})', "CPU"),),
            threshold=objective("cpu"),
            max=100,
            link="otel-tutor-health",
        ),
        Panel(
            title="Memory",
            description="Memory of the host in use; the objective is the red line.",
            kind="gauge",
            unit="bytes",
            queries=(Query('max(job:system_memory_usage_bytes:max{job=~"$service"})', "memory"),),
            threshold=objective("memory"),
            max=16000000000.0,
            link="otel-tutor-health",
        ),
        Panel(
            title="Sync queue",
            description="Records waiting for the central database.",
            kind="gauge",
            unit="short",
            queries=(Query('max(sync_queue_size{job=~"$service"})', "records"),),
            threshold=alert("LargeSyncQueue"),
            max=2000,
            link="otel-tutor-sync",
        ),
        Panel(
            title="API latency",
            description="How long requests take. A dot is one request: it opens its trace.",
            kind="lines",
            unit="s",
            queries=(
                Query('job:http_request_duration_seconds:p95_rate2m{job=~"$service"}', "P95 {{job}}"),
                Query('job:http_request_duration_seconds:p99_rate2m{job=~"$service"}', "P99 {{job}}"),
                Query(
                    'histogram_quantile(0.5, sum by (le) (rate(http_request_duration_seconds_bucket{job=~"$service"}[$__rate_interval])))',
                    "P50",
                    exemplars=True,
                ),
            ),
            threshold=objective("api-latency"),
            link="otel-tutor-api",
        ),
        Panel(
            title="RAG and model performance",
            description="P95 of each step of an answer. A dot is one retrieval: it opens its trace.",
            kind="lines",
            unit="s",
            queries=(
                Query('job:rag_retrieval_duration_seconds:p95_rate2m{job=~"$service"}', "retrieval {{job}}"),
                Query('job:rag_generation_duration_seconds:p95_rate2m{job=~"$service"}', "generation {{job}}"),
                Query('job:model_inference_duration_seconds:p95_rate2m{job=~"$service"}', "inference {{job}}"),
                Query(
                    'histogram_quantile(0.5, sum by (le) (rate(rag_retrieval_duration_seconds_bucket{job=~"$service"}[$__rate_interval])))',
                    "retrieval P50",
                    exemplars=True,
                ),
            ),
            link="otel-tutor-rag",
        ),
        Panel(
            title="Student questions by subject",
            description="Questions asked in the time shown.",
            kind="bars",
            unit="short",
            queries=(
                Query('sum by (subject) (increase(student_questions_total{job=~"$service"}[$__range]))', "{{subject}}"),
            ),
            link="otel-tutor-rag",
        ),
    ),
)
