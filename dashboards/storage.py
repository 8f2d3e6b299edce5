"""Where an answer's time goes below the tutor."""

from typing import Final

from dashboards.panels import Board, Panel, Query
from dashboards.promql import WORKERS, gauge, quantile, rate

__all__ = ["BOARD"]

BOARD: Final = Board(
    uid="otel-tutor-storage",
    title="Tutor: database and vector store",
    description="Where an answer's time goes below the tutor.",
    variables=(WORKERS,),
    panels=(
        Panel(
            title="Statements by operation, P95",
            description="Time of one SQL statement. A dot opens its trace.",
            kind="lines",
            unit="s",
            queries=(
                Query(
                    quantile(0.95, "db_client_operation_duration_seconds", by="operation"), "{{operation}}", exemplars=True
                ),
            ),
        ),
        Panel(
            title="Statements",
            description="Each second, by outcome.",
            kind="lines",
            unit="ops",
            queries=(Query(rate("db_client_operation_duration_seconds_count", by="status"), "{{status}}"),),
        ),
        Panel(
            title="Connections",
            description="In use and idle, and the most there may be.",
            kind="lines",
            unit="short",
            queries=(
                Query(gauge("sum", "db_client_connections", by="pool, state"), "{{pool}} {{state}}"),
                Query(gauge("sum", "db_client_connections_max", by="pool"), "{{pool}} most"),
            ),
        ),
        Panel(
            title="Waiting for a connection, P95",
            description="None while the pool has one.",
            kind="lines",
            unit="s",
            queries=(Query(quantile(0.95, "db_client_connection_wait_seconds", by="pool"), "{{pool}}", exemplars=True),),
        ),
        Panel(
            title="Searches by collection, P95",
            description="Time of one search. A dot opens its trace.",
            kind="lines",
            unit="s",
            queries=(
                Query(
                    quantile(0.95, "vector_store_search_duration_seconds", by="collection"), "{{collection}}", exemplars=True
                ),
            ),
        ),
        Panel(
            title="Searches",
            description="Each second, by outcome.",
            kind="lines",
            unit="ops",
            queries=(Query(rate("vector_store_search_total", by="collection, status"), "{{collection}} {{status}}"),),
        ),
        Panel(
            title="Documents",
            description="In each collection.",
            kind="lines",
            unit="short",
            queries=(Query(gauge("max", "vector_store_documents_total", by="collection"), "{{collection}}"),),
        ),
    ),
)
