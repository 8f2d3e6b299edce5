"""Where an answer's time goes below the tutor."""

from typing import Final

from dashboards.panels import Board, Panel, Query

__all__ = ["BOARD"]

BOARD: Final = Board(
    uid="otel-tutor-storage",
    title="Tutor: database and vector store",
    description="Where an answer's time goes below the tutor.",
    panels=(
        Panel(
            title="Statements by operation, P95",
            description="Time of one SQL statement. A dot opens its trace.",
            kind="lines",
            unit="s",
            queries=(
                Query(
                    'histogram_quantile(0.95, sum by (le, operation) (rate(db_client_operation_duration_seconds_bucket{job=~"$service"}[$__rate_interval])))',
                    "{{operation}}",
                    exemplars=True,
                ),
            ),
        ),
        Panel(
            title="Statements",
            description="Each second, by outcome.",
            kind="lines",
            unit="ops",
            queries=(
                Query(
                    'sum by (status) (rate(db_client_operation_duration_seconds_count{job=~"$service"}[$__rate_interval]))',
                    "{{status}}",
                ),
            ),
        ),
        Panel(
            title="Connections",
            description="In use and idle, and the most there may be.",
            kind="lines",
            unit="short",
            queries=(
                Query('sum by (pool, state) (db_client_connections{job=~"$service"})', "{{pool}} {{state}}"),
                Query('sum by (pool) (db_client_connections_max{job=~"$service"})', "{{pool}} most"),
            ),
        ),
        Panel(
            title="Waiting for a connection, P95",
            description="None while the pool has one.",
            kind="lines",
            unit="s",
            queries=(
                Query(
                    'histogram_quantile(0.95, sum by (le, pool) (rate(db_client_connection_wait_seconds_bucket{job=~"$service"}[$__rate_interval])))',
                    "{{pool}}",
                    exemplars=True,
                ),
            ),
        ),
        Panel(
            title="Searches by collection, P95",
            description="Time of one search. A dot opens its trace.",
            kind="lines",
            unit="s",
            queries=(
                Query(
                    'histogram_quantile(0.95, sum by (le, collection) (rate(vector_store_search_duration_seconds_bucket{job=~"$service"}[$__rate_interval])))',
                    "{{collection}}",
                    exemplars=True,
                ),
            ),
        ),
        Panel(
            title="Searches",
            description="Each second, by outcome.",
            kind="lines",
            unit="ops",
            queries=(
                Query(
                    'sum by (collection, status) (rate(vector_store_search_total{job=~"$service"}[$__rate_interval]))',
                    "{{collection}} {{status}}",
                ),
            ),
        ),
        Panel(
            title="Documents",
            description="In each collection.",
            kind="lines",
            unit="short",
            queries=(Query('max by (collection) (vector_store_documents_total{job=~"$service"})', "{{collection}}"),),
        ),
    ),
)
