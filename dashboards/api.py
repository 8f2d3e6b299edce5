"""Requests by endpoint: how many, how slow, how many fail."""

from typing import Final

from dashboards.limits import alert, objective
from dashboards.panels import Board, Panel, Query

__all__ = ["BOARD"]

BOARD: Final = Board(
    uid="otel-tutor-api",
    title="Tutor: API",
    description="Requests by endpoint: how many, how slow, how many fail.",
    variables=(("endpoint", "label_values(http_requests_total, endpoint)"),),
    panels=(
        Panel(
            title="Requests by endpoint",
            description="Requests answered each second.",
            kind="lines",
            unit="reqps",
            queries=(
                Query(
                    'sum by (endpoint) (rate(http_requests_total{job=~"$service",endpoint=~"$endpoint"}[$__rate_interval]))',
                    "{{endpoint}}",
                ),
            ),
        ),
        Panel(
            title="Requests by status",
            description="Requests answered each second.",
            kind="lines",
            unit="reqps",
            queries=(
                Query(
                    'sum by (status) (rate(http_requests_total{job=~"$service",endpoint=~"$endpoint"}[$__rate_interval]))',
                    "{{status}}",
                ),
            ),
        ),
        Panel(
            title="Latency by endpoint, P95",
            description="A dot is one request: it opens its trace.",
            kind="lines",
            unit="s",
            queries=(
                Query(
                    'histogram_quantile(0.95, sum by (le, endpoint) (rate(http_request_duration_seconds_bucket{job=~"$service",endpoint=~"$endpoint"}[$__rate_interval])))',
                    "{{endpoint}}",
                    exemplars=True,
                ),
            ),
            limit=objective("api-latency"),
        ),
        Panel(
            title="Share of requests that fail",
            description="Server errors among all requests of a service.",
            kind="lines",
            unit="percentunit",
            queries=(Query('job:http_requests:error_ratio_rate2m{job=~"$service"}', "{{job}}"),),
            limit=alert("HighErrorRate"),
        ),
        Panel(
            title="Failures by endpoint",
            description="Server errors each second.",
            kind="lines",
            unit="reqps",
            queries=(
                Query(
                    'sum by (endpoint, status) (rate(http_requests_total{job=~"$service",endpoint=~"$endpoint",status=~"5.."}[$__rate_interval]))',
                    "{{endpoint}} {{status}}",
                ),
            ),
            quiet="No request has failed.",
        ),
        Panel(
            title="Requests in progress",
            description="Requests being answered now.",
            kind="lines",
            unit="short",
            queries=(
                Query(
                    'sum by (endpoint) (http_requests_in_progress{job=~"$service",endpoint=~"$endpoint"})', "{{endpoint}}"
                ),
            ),
        ),
        Panel(
            title="First byte of streamed answers, P95",
            description="What a student waits for before reading.",
            kind="lines",
            unit="s",
            queries=(
                Query(
                    'histogram_quantile(0.95, sum by (le, endpoint) (rate(http_response_time_to_first_byte_seconds_bucket{job=~"$service",endpoint=~"$endpoint"}[$__rate_interval])))',
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
                Query(
                    'sum(rate(http_request_bytes_total{job=~"$service",endpoint=~"$endpoint"}[$__rate_interval]))',
                    "received",
                ),
                Query(
                    'sum(rate(http_response_bytes_total{job=~"$service",endpoint=~"$endpoint"}[$__rate_interval]))', "sent"
                ),
            ),
        ),
        Panel(
            title="WebSockets",
            description="Connections open now, by endpoint.",
            kind="lines",
            unit="short",
            queries=(Query('sum by (endpoint) (websocket_connections_active{job=~"$service"})', "{{endpoint}}"),),
            quiet="No WebSocket was opened.",
        ),
    ),
)
