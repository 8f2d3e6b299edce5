"""Whether what is measured arrives: the SDK, the Collector, Prometheus and Alertmanager."""

from typing import Final

from dashboards.limits import alert
from dashboards.panels import Board, Panel, Query
from dashboards.promql import WORKERS, gauge, rate

__all__ = ["BOARD"]


def _account(item: str, items: str, exporter: str, signal: str) -> tuple[Query, ...]:
    """In, out, lost and waiting of a signal, hop by hop."""
    processed = (
        f'sum(increase(otel_sdk_processor_{item}_processed_total{{job=~"$service",instance=~"$instance"}}[$__range]))'
    )
    return (
        Query(processed, "taken up by the apps"),
        Query(f"sum(increase(otelcol_receiver_accepted_{items}[$__range]))", "taken by the Collector"),
        Query(f'sum(increase(otelcol_exporter_sent_{items}{{exporter="{exporter}"}}[$__range]))', "exported"),
        Query(
            f'sum(job_signal_reason:telemetry_lost:sum{{job=~"$service",signal="{signal}"}})',
            "lost, since the workers began",
        ),
        Query(f'sum(otel_sdk_processor_{item}_queue_size{{job=~"$service",instance=~"$instance"}})', "waiting in the apps"),
    )


BOARD: Final = Board(
    uid="otel-tutor-pipeline",
    title="Tutor: telemetry",
    description="Whether what is measured arrives: the SDK, the Collector, Prometheus and Alertmanager.",
    variables=(WORKERS,),
    panels=(
        Panel(
            title="Components",
            description="1 answers Prometheus, 0 does not.",
            kind="stat",
            unit="short",
            queries=(Query("min by (job) (up)", "{{job}}"),),
            threshold=1.0,
            lower_is_bad=True,
        ),
        Panel(
            title="Lost by the app",
            description="Spans, log records and data points dropped or not delivered, since its workers began.",
            kind="stat",
            unit="short",
            queries=(Query('job:otel_sdk_lost:sum{job=~"$service"}', "{{job}}"),),
            threshold=1.0,
        ),
        Panel(
            title="Lost, by reason",
            description="By the app, since its workers began: queue_full, already_shutdown, not_sent, too_large, refused, invalid.",
            kind="bars",
            unit="short",
            queries=(
                Query(
                    'sum by (job, signal, reason) (job_signal_reason:telemetry_lost:sum{job=~"$service"})',
                    "{{job}}: {{signal}}, {{reason}}",
                ),
            ),
        ),
        Panel(
            title="Account of spans",
            description="In the time shown. What was recorded is exported, lost, or waits: in the app, or in the Collector's queue.",
            kind="bars",
            unit="short",
            queries=_account("span", "spans", "otlp_grpc/jaeger", "traces"),
        ),
        Panel(
            title="Account of log records",
            description="In the time shown. What was recorded is exported, lost, or waits: in the app, or in the Collector's queue.",
            kind="bars",
            unit="short",
            queries=_account("log", "log_records", "otlp_http/victorialogs", "logs"),
        ),
        Panel(
            title="Accepted by the Collector",
            description="Items each second.",
            kind="lines",
            unit="short",
            queries=(
                Query("sum(rate(otelcol_receiver_accepted_spans[$__rate_interval]))", "spans"),
                Query("sum(rate(otelcol_receiver_accepted_log_records[$__rate_interval]))", "log records"),
                Query("sum(rate(otelcol_receiver_accepted_metric_points[$__rate_interval]))", "metric points"),
            ),
        ),
        Panel(
            title="Refused by the Collector",
            description="Items each second; apps retry these.",
            kind="lines",
            unit="short",
            queries=(
                Query("sum(rate(otelcol_receiver_refused_spans[$__rate_interval]))", "spans"),
                Query("sum(rate(otelcol_receiver_refused_metric_points[$__rate_interval]))", "metric points"),
            ),
        ),
        Panel(
            title="Handed on",
            description="Spans and log records each second, by exporter.",
            kind="lines",
            unit="short",
            queries=(
                Query("sum by (exporter) (rate(otelcol_exporter_sent_spans[$__rate_interval]))", "spans {{exporter}}"),
                Query(
                    "sum by (exporter) (rate(otelcol_exporter_sent_log_records[$__rate_interval]))",
                    "log records {{exporter}}",
                ),
            ),
        ),
        Panel(
            title="Queues",
            description="How full each queue of the Collector is.",
            kind="lines",
            unit="percentunit",
            queries=(
                Query(
                    "sum by (exporter, data_type) (otelcol_exporter_queue_size) / sum by (exporter, data_type) (otelcol_exporter_queue_capacity)",
                    "{{exporter}} {{data_type}}",
                ),
            ),
            threshold=alert("TelemetryQueueFilling"),
        ),
        Panel(
            title="Memory of the Collector",
            description="Its limit is {collector_memory}.",
            kind="lines",
            unit="bytes",
            queries=(Query("max(otelcol_process_memory_rss)", "memory"),),
        ),
        Panel(
            title="Queue in the app",
            description="Spans and log records waiting to be sent.",
            kind="lines",
            unit="short",
            queries=(
                Query(gauge("sum", "otel_sdk_processor_span_queue_size", by="job"), "spans {{job}}"),
                Query(gauge("sum", "otel_sdk_processor_log_queue_size", by="job"), "log records {{job}}"),
            ),
        ),
        Panel(
            title="Series",
            description="Samples that each scrape brings.",
            kind="lines",
            unit="short",
            queries=(Query("sum by (job) (scrape_samples_scraped)", "{{job}}"),),
        ),
        Panel(
            title="Folded label values",
            description="Each second, by label: more values than it may have.",
            kind="lines",
            unit="short",
            queries=(Query(rate("telemetry_attribute_folded_total", by="attribute"), "{{attribute}}"),),
            no_value="No label has had too many values.",
        ),
        Panel(
            title="Rules and notifications that fail",
            description="In each minute.",
            kind="lines",
            unit="cpm",
            queries=(
                Query("sum(rate(prometheus_rule_evaluation_failures_total[$__rate_interval])) * 60", "rules"),
                Query("sum(rate(alertmanager_notifications_failed_total[$__rate_interval])) * 60", "notifications"),
            ),
        ),
    ),
)
