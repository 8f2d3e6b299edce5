"""Requests by endpoint: how many, how slow, how many fail."""

from typing import Final

from dashboards.limits import alert, objective
from dashboards.panels import Board, Panel, Query
from dashboards.promql import WORKERS, gauge, narrowed, quantile, rate

__all__ = ["BOARD"]

_ENDPOINT: Final = 'endpoint=~"$endpoint"'

BOARD: Final = Board(
    uid="otel-tutor-api",
    title="Tutor: API",
    description="Requests by endpoint: how many, how slow, how many fail.",
    variables=(WORKERS, narrowed("endpoint", "http_requests_total")),
    panels=(
        Panel(
            title="Requests by endpoint",
            description="Requests answered each second.",
            kind="lines",
            unit="reqps",
            queries=(Query(rate("http_requests_total", _ENDPOINT, by="endpoint"), "{{endpoint}}"),),
        ),
        Panel(
            title="Requests by status",
            description="Requests answered each second.",
            kind="lines",
            unit="reqps",
            queries=(Query(rate("http_requests_total", _ENDPOINT, by="status"), "{{status}}"),),
        ),
        Panel(
            title="Latency by endpoint, P95",
            description="A dot is one request: it opens its trace.",
            kind="lines",
            unit="s",
            queries=(
                Query(
                    quantile(0.95, "http_request_duration_seconds", _ENDPOINT, by="endpoint"), "{{endpoint}}", exemplars=True
                ),
            ),
            threshold=objective("api-latency"),
        ),
        Panel(
            title="Share of requests that fail",
            description="Server errors among all requests of a service.",
            kind="lines",
            unit="percentunit",
            queries=(Query('job:http_requests:error_ratio_rate2m{job=~"$service"}', "{{job}}"),),
            threshold=alert("HighErrorRate"),
        ),
        Panel(
            title="Failures by endpoint",
            description="Server errors each second.",
            kind="lines",
            unit="reqps",
            queries=(
                Query(
                    rate("http_requests_total", _ENDPOINT, 'status=~"5.."', by="endpoint, status"), "{{endpoint}} {{status}}"
                ),
            ),
            no_value="No request has failed.",
        ),
        Panel(
            title="Requests in progress",
            description="Requests being answered now.",
            kind="lines",
            unit="short",
            queries=(Query(gauge("sum", "http_requests_in_progress", _ENDPOINT, by="endpoint"), "{{endpoint}}"),),
        ),
        Panel(
            title="First byte of streamed answers, P95",
            description="What a student waits for before reading.",
            kind="lines",
            unit="s",
            queries=(
                Query(
                    quantile(0.95, "http_response_time_to_first_byte_seconds", _ENDPOINT, by="endpoint"),
                    "{{endpoint}}",
                    exemplars=True,
                ),
            ),
        ),
        Panel(
            title="Bytes",
            description="Bodies received and sent each second.",
            kind="lines",
            unit="Bps",
            queries=(
                Query(rate("http_request_bytes_total", _ENDPOINT), "received"),
                Query(rate("http_response_bytes_total", _ENDPOINT), "sent"),
            ),
        ),
        Panel(
            title="WebSockets",
            description="Connections open now, by endpoint.",
            kind="lines",
            unit="short",
            queries=(Query(gauge("sum", "websocket_connections_active", by="endpoint"), "{{endpoint}}"),),
            no_value="No WebSocket was opened.",
        ),
    ),
)
