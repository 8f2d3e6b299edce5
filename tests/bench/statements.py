"""A SQL statement on SQLite in memory: bare, observed by us, and by the instrumentation of SQLAlchemy as it comes."""

from collections.abc import Mapping
from typing import Any

from opentelemetry import trace
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import StaticPool

from tests.bench.comparison import added_row, whole_row
from tests.bench.processes import Effort, Variant, measure
from tests.bench.table import Row
from tests.bench.trial import Nothing, Sink, Trial, ours, plain_sdk

__all__ = ["rows"]

EACH = 500  # statements of a round, on one connection, inside one span


def rows(effort: Effort) -> list[Row]:
    """The rows of statements."""
    times = measure([Variant(__name__, name) for name in ("bare", "with_us", "contrib")], effort)
    return [
        added_row(
            "SQL statement: what is added", "contrib SQLAlchemy, spans alone", times, ("with_us", "contrib", "bare"), 0.7
        ),
        whole_row("SQL statement with all it takes", "contrib SQLAlchemy, spans alone", times, ("with_us", "contrib"), None),
        whole_row("SQL statement with all it takes", "SQLAlchemy alone", times, ("with_us", "bare"), None),
    ]


def bare() -> Trial:
    return _trial(_engine(), Nothing(), {})


def with_us() -> Trial:
    import otel_tutor

    sink, engine = ours(), _engine()
    otel_tutor.configure(engine=engine)
    return _trial(engine, sink, {"spans": EACH + 1, "db.client.operation.duration": EACH})


def contrib() -> Trial:
    """It makes one further span, of the connection that each round begins with."""
    from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor

    sink, engine = plain_sdk(), _engine()
    # It declares SQLAlchemy 2.1 unsupported, and works with it.
    SQLAlchemyInstrumentor().instrument(engine=engine, skip_dep_check=True)
    return _trial(engine, sink, {"spans": EACH + 2})


def _engine() -> Engine:
    return create_engine("sqlite://", poolclass=StaticPool)


def _trial(engine: Engine, sink: Sink, expected: Mapping[str, float]) -> Trial:
    tracer: Any = trace.get_tracer("bench")
    statement = text("SELECT :number")

    def run() -> None:
        with tracer.start_as_current_span("request"), engine.connect() as connection:
            for number in range(EACH):
                connection.execute(statement, {"number": number}).scalar_one()

    return Trial(run=run, each=EACH, sink=sink, expected=expected)
