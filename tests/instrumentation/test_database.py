"""SQL statements as spans, on real SQLite."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from opentelemetry.trace import SpanKind, StatusCode
from sqlalchemy import (
    Column,
    Engine,
    Executable,
    Integer,
    MetaData,
    Table,
    create_engine,
    delete,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import Pool, QueuePool
from sqlalchemy.schema import CreateTable

import otel_tutor
from otel_tutor.testing import Capture
from otel_tutor.tracing import trace_operation


@pytest.fixture
def engine(tmp_path: Path, captured: Capture) -> Engine:
    engine = create_engine(f"sqlite:///{tmp_path / 'test.db'}")
    otel_tutor.configure(engine=engine)
    return engine


def test_a_statement_is_a_client_span_without_its_values(engine: Engine, captured: Capture) -> None:
    with trace_operation("request"), engine.connect() as connection:
        connection.execute(text("SELECT :name"), {"name": "Ada Lovelace"})

    statement, request = captured.spans
    assert (statement.name, statement.kind, statement.parent) == ("SELECT test.db", SpanKind.CLIENT, request.context)
    assert dict(statement.attributes or {})["db.query.text"] == "SELECT ?"
    assert "Lovelace" not in statement.to_json()
    engine.dispose()


def test_a_failed_statement_is_an_error(engine: Engine, captured: Capture) -> None:
    with engine.connect() as connection, pytest.raises(OperationalError):
        connection.execute(text("SELECT nothing"))

    assert captured.spans[0].status.status_code is StatusCode.ERROR
    engine.dispose()


def test_engines_may_come_later_and_twice(engine: Engine, captured: Capture) -> None:
    later = create_engine("sqlite://")
    otel_tutor.configure(engine=[engine, later])
    for each in (engine, later):
        with each.connect() as connection:
            connection.execute(text("SELECT 1"))
        each.dispose()

    assert len(captured.spans) == 2


def test_statements_in_a_thread_belong_to_the_trace_that_started_it(engine: Engine, captured: Capture) -> None:
    def query() -> None:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    async def ask() -> None:
        with trace_operation("request"):
            await asyncio.to_thread(query)

    asyncio.run(ask())
    engine.dispose()
    statement, request = captured.spans
    assert statement.parent == request.context


def test_statements_are_timed_by_operation_and_outcome(engine: Engine, captured: Capture) -> None:
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        with pytest.raises(OperationalError):
            connection.execute(text("DROP TABLE nothing"))

    points = captured.read_metrics()["db.client.operation.duration"]
    assert sorted((p.attributes["db.operation.name"], p.attributes["tutor.outcome"], p.count) for p in points) == [
        ("DROP", "error", 1),
        ("SELECT", "success", 1),
    ]
    engine.dispose()


def test_a_pool_says_what_is_in_use_idle_and_possible(captured: Capture, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'pool.db'}", pool_size=3, max_overflow=2)
    otel_tutor.configure(engine=engine)
    with engine.connect(), engine.connect():
        pass
    with engine.connect():
        metrics = captured.read_metrics()
    engine.dispose()

    mine = [p for p in metrics["db.client.connection.count"] if p.attributes["db.client.connection.pool.name"] == "pool.db"]
    assert {p.attributes["db.client.connection.state"]: p.value for p in mine} == {"used": 1, "idle": 1}
    (most,) = [p for p in metrics["db.client.connection.max"] if "pool.db" in p.attributes.values()]
    assert most.value == 5


def test_waiting_for_a_connection_is_timed_also_after_the_pool_was_renewed(engine: Engine, captured: Capture) -> None:
    for _ in range(2):
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        engine.dispose()

    (wait,) = captured.read_metrics()["db.client.connection.wait_time"]
    assert (wait.count, dict(wait.attributes)) == (2, {"db.client.connection.pool.name": "test.db"})


def test_opening_a_connection_is_part_of_waiting_for_it(tmp_path: Path, captured: Capture) -> None:
    with captured.frozen() as clock:

        def open_slowly() -> sqlite3.Connection:
            clock.advance(2)
            return sqlite3.connect(tmp_path / "slow.db")

        engine = create_engine("sqlite://", creator=open_slowly, poolclass=QueuePool)
        otel_tutor.configure(engine=engine)
        for _ in range(2):
            with engine.connect():
                pass
        engine.dispose()

    (wait,) = captured.read_metrics()["db.client.connection.wait_time"]
    assert (wait.count, wait.sum) == (2, 2)  # the second connection was there already


def test_waiting_in_vain_for_a_connection_is_timed_as_well(tmp_path: Path, captured: Capture) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'small.db'}", pool_size=1, max_overflow=0, pool_timeout=0.01)
    otel_tutor.configure(engine=engine)
    with engine.connect(), pytest.raises(PoolTimeoutError):
        engine.connect()
    engine.dispose()

    (wait,) = captured.read_metrics()["db.client.connection.wait_time"]
    assert wait.count == 2


class Wrapper:
    """A pool that an app wrapped, and that takes no attribute."""

    __slots__ = ("pool",)

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def __getattr__(self, name: str) -> object:
        return getattr(self.pool, name)

    def connect(self) -> object:
        return self.pool.connect()


def test_a_pool_that_takes_no_attribute_costs_its_waiting_time_and_nothing_else(tmp_path: Path, captured: Capture) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'wrapped.db'}")
    engine.pool = Wrapper(engine.pool)  # type: ignore[assignment]  # as an app may do it
    otel_tutor.configure(engine=engine)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    engine.dispose()

    metrics = captured.read_metrics()
    assert "db.client.connection.wait_time" not in metrics
    assert [point.count for point in metrics["db.client.operation.duration"]] == [1]
    assert [span.name for span in captured.spans] == ["SELECT wrapped.db"]


def test_a_pool_without_a_limit_reports_none(tmp_path: Path, captured: Capture) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'unlimited.db'}", max_overflow=-1)
    otel_tutor.configure(engine=engine)

    limits = captured.read_metrics().get("db.client.connection.max", [])
    assert [point for point in limits if "unlimited.db" in point.attributes.values()] == []


# A statement as an app writes it, and its operation.
OPERATIONS = {
    "select 1": "SELECT",
    "/* the app */ select 1": "SELECT",
    "-- DROP is only in this comment\nselect 1": "SELECT",
    "  \n\t select 1": "SELECT",
    "WITH one AS (SELECT 1) SELECT * FROM one": "SELECT",
    "with recursive n(i) as (values(1) union all select i + 1 from n where i < 3) select i from n": "SELECT",
    "/* app */ with one as (select 1) insert into pages select * from one": "INSERT",
    "WITH one AS (SELECT ')' ) UPDATE pages SET number = 2": "UPDATE",
    "with one as (select 1) delete from pages": "DELETE",
    "insert into pages values (1)": "INSERT",
    "update pages set number = 3 /* was select */": "UPDATE",
    "PRAGMA table_info(pages)": "PRAGMA",
    "explain select 1": "EXPLAIN",
    "values (1)": "VALUES",
}


@pytest.mark.parametrize("statement", OPERATIONS)
def test_the_operation_of_a_statement_is_its_first_keyword(engine: Engine, captured: Capture, statement: str) -> None:
    with engine.connect() as connection:
        connection.execute(text("create table pages (number integer)"))
        captured.clear()
        connection.execute(text(statement))
    engine.dispose()

    (span,) = captured.spans
    (point,) = captured.read_metrics()["db.client.operation.duration"]
    operation = OPERATIONS[statement]
    assert (span.attributes or {})["db.operation.name"] == point.attributes["db.operation.name"] == operation
    assert span.name.upper() == f"{operation} TEST.DB"


def test_statements_that_are_built_have_their_operation_as_well(engine: Engine, captured: Capture) -> None:
    pages = Table("pages", MetaData(), Column("number", Integer))
    chosen = select(pages).cte("chosen")
    statements: list[Executable] = [
        CreateTable(pages),
        insert(pages).values(number=1),
        select(chosen),
        update(pages).values(number=2),
        select(pages).union(select(pages)),
        delete(pages),
        text("/* app */ select 1"),
    ]
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(statement)
        connection.exec_driver_sql("drop table pages")
    engine.dispose()

    operations = ["CREATE", "INSERT", "SELECT", "UPDATE", "SELECT", "DELETE", "SELECT", "DROP"]
    assert [(span.attributes or {})["db.operation.name"] for span in captured.spans] == operations


def test_statements_of_an_async_engine_have_their_operation(captured: Capture, tmp_path: Path) -> None:
    async def ask() -> None:
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'async.db'}")
        otel_tutor.configure(engine=engine)
        async with engine.connect() as connection:
            await connection.execute(text("-- app\nselect 1"))
        await engine.dispose()

    asyncio.run(ask())
    assert [(span.name, (span.attributes or {})["db.operation.name"]) for span in captured.spans] == [
        ("select async.db", "SELECT")
    ]


def test_a_statement_without_a_keyword_has_the_name_of_its_database(engine: Engine, captured: Capture) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql("/* nothing */")
    engine.dispose()

    assert captured.count("db_client_operation_duration_seconds", operation="unknown") == 1
    assert [span.name for span in captured.spans] == ["test.db"]
