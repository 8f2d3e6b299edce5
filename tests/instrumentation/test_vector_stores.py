"""A search in a vector store is one span and one count. `tests/models/test_vector_stores.py` has every store."""

import asyncio
import functools
import sqlite3
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest
from opentelemetry import context
from opentelemetry.trace import SpanKind, StatusCode
from qdrant_client import AsyncQdrantClient, QdrantClient, models
from sqlalchemy import create_engine, text

import otel_tutor
from otel_tutor.instrumentation.installed import choose
from otel_tutor.instrumentation.vector_stores.clients import observe_faiss
from otel_tutor.instrumentation.vector_stores.documents import count_later
from otel_tutor.instrumentation.vector_stores.engines import searched_table
from otel_tutor.instrumentation.vector_stores.search import Collection, observe_searches
from otel_tutor.instrumentation.vector_stores.sqlite import observe_sqlite
from otel_tutor.monitoring import metrics_collector
from otel_tutor.testing import Capture
from otel_tutor.tracing import trace_operation
from tests.support.failing import failing_histograms, failing_spans

CONFIG = models.VectorParams(size=2, distance=models.Distance.COSINE)
POINTS = [models.PointStruct(id=number, vector=[1.0, number]) for number in range(5)]
QUERY = [1.0, 3.0]


@pytest.fixture
def client(captured: Capture) -> Iterator[QdrantClient]:
    otel_tutor.configure(instrument=["vector_stores"])
    client = QdrantClient(":memory:")
    client.create_collection("lessons", vectors_config=CONFIG)
    client.upsert("lessons", points=POINTS)
    yield client
    client.close()


def nearest(client: QdrantClient, collection: str = "lessons") -> object:
    return client.query_points(collection_name=collection, query=QUERY, limit=1).points[0].id


def counted(captured: Capture, status: str = "success", collection: str = "lessons") -> float:
    return captured.value("vector_store_search_total", collection=collection, status=status)


def test_a_search_is_a_client_span_and_a_count(client: QdrantClient, captured: Capture) -> None:
    with captured.frozen(), trace_operation("question", {}):
        assert nearest(client) == 3

    span, question = captured.spans
    assert (span.name, span.kind, span.status.status_code) == ("query_points lessons", SpanKind.CLIENT, StatusCode.UNSET)
    assert dict(span.attributes or {}) == {
        "db.system.name": "qdrant",
        "db.operation.name": "query_points",
        "db.collection.name": "lessons",
    }
    assert span.parent == question.context
    assert counted(captured) == captured.count("vector_store_search_duration_seconds", collection="lessons") == 1


def test_a_search_that_fails_is_an_error_without_its_message(client: QdrantClient, captured: Capture) -> None:
    with pytest.raises(ValueError, match="nowhere"):
        nearest(client, "nowhere")

    (span,) = captured.spans
    assert (span.status.status_code, span.status.description, span.events) == (StatusCode.ERROR, None, ())
    assert (span.attributes or {})["error.type"] == "ValueError"
    assert counted(captured, "error", "nowhere") == 1
    assert captured.count("vector_store_search_duration_seconds") == 0


def test_searches_in_threads_and_tasks_are_counted_each(client: QdrantClient, captured: Capture) -> None:
    async def search() -> list[object]:
        later = AsyncQdrantClient(":memory:")
        await later.create_collection("lessons", vectors_config=CONFIG)
        await later.upsert("lessons", points=POINTS)
        answers = await asyncio.gather(*(later.query_points("lessons", query=QUERY, limit=1) for _ in range(3)))
        assert await asyncio.to_thread(captured.value, "vector_store_documents_total", collection="lessons") == len(POINTS)
        with pytest.raises(ValueError, match="nowhere"):
            await later.query_points("nowhere", query=QUERY)
        await later.close()
        return [answer.points[0].id for answer in answers]

    with ThreadPoolExecutor(2) as threads:
        assert set(threads.map(lambda _: nearest(client), range(5))) == {3}
    assert asyncio.run(search()) == [3, 3, 3]

    assert counted(captured) == len([span for span in captured.spans if span.name.endswith("lessons")]) == 8
    assert counted(captured, "error", "nowhere") == 1


def test_a_search_that_is_recorded_by_hand_as_well_counts_once(client: QdrantClient, captured: Capture) -> None:
    with trace_operation("question", {}):
        nearest(client)
        metrics_collector.track_vector_search("lessons", 0.1)
        assert counted(captured) == 1
        metrics_collector.track_vector_search("lessons", 0.1)  # another one
        metrics_collector.track_vector_search("shelf", 0.1)

    assert (counted(captured), counted(captured, collection="shelf")) == (2, 1)


class Shelf:
    """An index without a name, which records its searches by hand."""

    def search(self, by_hand: bool) -> str:
        if by_hand:
            metrics_collector.track_vector_search("by hand", 0.1)
        return self.find()

    def find(self) -> str:
        return "a book"

    async def wait(self) -> str:
        await asyncio.sleep(3600)
        return self.find()


@pytest.fixture
def shelf(captured: Capture) -> Shelf:
    class Observed(Shelf):
        pass

    for method in ("search", "find", "wait"):
        observe_searches(Observed, method, lambda *_: Collection(store="shelf", name="Shelf", is_named=False), "search")
    return Observed()


def test_what_a_search_records_of_itself_by_hand_is_all_that_counts(shelf: Shelf, captured: Capture) -> None:
    assert [shelf.search(by_hand=True), shelf.search(by_hand=False)] == ["a book", "a book"]

    assert [counted(captured, collection=name) for name in ("by hand", "Shelf")] == [1, 1]
    assert [span.name for span in captured.spans] == ["search Shelf", "search Shelf"]


def test_a_search_without_a_name_is_whatever_is_recorded_by_hand_next(shelf: Shelf, captured: Capture) -> None:
    with trace_operation("question", {}):
        shelf.search(by_hand=False)
        metrics_collector.track_vector_search("books", 0.1)

    assert [counted(captured, collection=name) for name in ("books", "Shelf")] == [0, 1]


def test_a_search_that_is_cancelled_is_no_failure(shelf: Shelf, captured: Capture) -> None:
    async def cancel() -> None:
        task = asyncio.create_task(shelf.wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())

    assert counted(captured, "cancelled", "Shelf") == 1
    assert captured.spans[0].status.status_code is StatusCode.UNSET


def test_what_goes_on_in_the_context_of_a_search_that_ended_is_not_a_part_of_it(captured: Capture) -> None:
    inside = context.get_current()

    class Keeping(Shelf):
        def find(self) -> str:
            nonlocal inside
            inside = context.get_current()
            return "a book"

    observe_searches(Keeping, "find", lambda *_: Collection(store="shelf", name="Shelf"), "search")
    Keeping().find()
    token = context.attach(inside)
    Keeping().find()
    context.detach(token)

    assert counted(captured, collection="Shelf") == 2


@pytest.mark.parametrize("broken", ["spans", "histograms"])
def test_an_app_searches_as_before_while_telemetry_is_broken(broken: str, client: QdrantClient, captured: Capture) -> None:
    with failing_spans(captured) if broken == "spans" else failing_histograms():
        assert nearest(client) == 3
        with pytest.raises(ValueError, match="nowhere"):
            nearest(client, "nowhere")


def test_documents_are_counted_after_a_change_and_after_a_search(client: QdrantClient, captured: Capture) -> None:
    assert captured.value("vector_store_documents_total", collection="lessons") == 5

    client.delete("lessons", points_selector=[0, 1])
    assert captured.value("vector_store_documents_total", collection="lessons") == 3

    nearest(client)
    client.delete_collection("lessons")  # what cannot be counted any more stays as it was
    assert captured.value("vector_store_documents_total", collection="lessons") == 3


def test_an_export_does_not_wait_for_a_store_that_hangs(captured: Capture) -> None:
    answered = threading.Event()

    def hang() -> int:
        answered.wait(60)
        return 7

    count_later("far away", hang)
    assert captured.value("vector_store_documents_total", collection="far away") == 0
    count_later("near", lambda: 1)
    assert captured.value("vector_store_documents_total", collection="near") == 0  # one thread counts
    answered.set()
    deadline = time.monotonic() + 30
    while captured.value("vector_store_documents_total") != 8 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [captured.value("vector_store_documents_total", collection=name) for name in ("far away", "near")] == [7, 1]


def test_an_async_client_whose_event_loop_is_gone_is_not_asked(captured: Capture) -> None:
    async def count() -> int:
        return 7

    async def use() -> None:
        count_later("left", count)

    asyncio.run(use())
    count_later("outside", count)  # in no event loop at all
    count_later("no number", lambda: None)

    assert captured.value("vector_store_documents_total") == 0


def test_indexes_of_one_type_count_together(captured: Capture) -> None:
    """faiss gives its indexes no names; this is what its module has in common with the real one."""

    class Index:
        def __init__(self) -> None:
            self.ntotal = 0

        def add(self, vectors: list[Any]) -> None:
            self.ntotal += len(vectors)

        def search(self, number: int) -> int:
            return min(number, self.ntotal)

    module = ModuleType("faiss")
    module.Index = Index  # type: ignore[attr-defined]
    observe_faiss(module)
    first, second = Index(), Index()
    first.add([1, 2, 3])
    second.add([1])

    assert first.search(2) == 2
    assert counted(captured, collection="Index") == 1
    assert captured.value("vector_store_documents_total", collection="Index") == 4


@pytest.fixture
def lessons(captured: Capture) -> Iterator[sqlite3.Connection]:
    """A database with a table of sqlite-vec, where that is not loaded, and one for full-text search."""
    before = sqlite3.connect
    observe_sqlite(ModuleType("sqlite_vec"))
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.executescript("""
        CREATE VIRTUAL TABLE texts USING fts5(body, vec0);
        INSERT INTO texts VALUES ('light', '');
        PRAGMA writable_schema = ON;
        INSERT INTO sqlite_master VALUES ('table', 'lessons', 'lessons', 0, 'CREATE VIRTUAL TABLE lessons USING
            vec0(embedding float[2])');
        PRAGMA writable_schema = RESET;
    """)
    yield database
    database.close()
    sqlite3.connect = sqlite3.dbapi2.connect = before


SEARCH = 'SELECT rowid FROM "lessons" AS found WHERE embedding MATCH ? AND k = 3'


@pytest.mark.parametrize("schema", ["", "main."])
def test_a_statement_of_sqlite_vec_is_a_search(schema: str, lessons: sqlite3.Connection, captured: Capture) -> None:
    statement = SEARCH.replace('"lessons"', f'{schema}"lessons"')
    for runner in (lessons, lessons.cursor()):
        with pytest.raises(sqlite3.OperationalError, match="vec0"):
            runner.execute(statement, (b"",))

    assert counted(captured, "error") == 2
    assert [span.name for span in captured.spans] == ["SELECT lessons", "SELECT lessons"]


def test_other_statements_of_sqlite_are_none(lessons: sqlite3.Connection, captured: Capture) -> None:
    lessons.row_factory, lessons.text_factory = sqlite3.Row, bytes
    assert lessons.execute("SELECT body FROM texts WHERE texts MATCH 'light'").fetchone()["body"] == b"light"
    lessons.execute("SELECT 'MATCH'")
    with pytest.raises(sqlite3.OperationalError):
        lessons.execute(f"EXPLAIN {SEARCH}", (b"",))
    with pytest.raises(TypeError):
        lessons.execute()  # type: ignore[call-arg]

    assert captured.spans == []
    assert counted(captured, "error") == 0


def test_an_apps_own_connections_and_cursors_stay_what_they_are(lessons: sqlite3.Connection) -> None:
    class Connection(sqlite3.Connection):
        def cursor(self) -> Any:  # type: ignore[override]  # as apps do
            return super().cursor(Cursor)

    class Cursor(sqlite3.Cursor):
        pass

    own = sqlite3.connect(":memory:", factory=Connection)
    make: Any = functools.partial(Connection)  # no class
    made = sqlite3.connect(":memory:", factory=make)

    assert isinstance(own, Connection)
    assert type(own).__name__ == "Connection"
    assert type(made) is Connection
    assert type(own.cursor()) is Cursor
    assert isinstance(lessons.cursor(Cursor), Cursor)
    assert type(lessons.cursor(functools.partial(Cursor))) is Cursor
    for connection in (own, made):
        connection.close()


def test_a_search_through_an_engine_that_is_traced_has_the_span_of_its_statement(
    lessons: sqlite3.Connection, captured: Capture
) -> None:
    otel_tutor.configure(instrument=["vector_stores"])
    engine = create_engine("sqlite://", creator=lambda: lessons)
    otel_tutor.configure(engine=engine)
    with engine.connect() as connection, warnings.catch_warnings(), pytest.raises(Exception, match="vec0"):
        connection.execute(text("SELECT rowid FROM lessons WHERE embedding MATCH :query"), {"query": b""})

    assert counted(captured, "error") == 1
    assert [span.name for span in captured.spans] == ["SELECT"]


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("SELECT lessons.id FROM lessons ORDER BY lessons.embedding <-> %(query)s", "lessons"),
        ("SELECT lessons.id FROM lessons ORDER BY lessons.place <-> %(query)s", None),
        ("SELECT id FROM public.lessons ORDER BY embedding <=> :query LIMIT 5", "lessons"),
        ('SELECT id FROM school."Lessons" WHERE (embedding <#> :query) < -1', "school.Lessons"),
        ("SELECT found.id FROM lessons AS found JOIN topics ON true ORDER BY found.embedding <=> :query", "lessons"),
        ("SELECT id FROM topics, (SELECT * FROM lessons ORDER BY lessons.embedding <=> :query) AS found", "lessons"),
        ("WITH found AS (SELECT 1) SELECT id FROM lessons ORDER BY embedding <=> :query", "lessons"),
        ("SELECT '[1,2]'::vector <-> '[2,3]'::vector", "unknown"),
        ("SELECT place <-> ST_MakePoint(1, 2) FROM schools", None),
        ("SELECT id FROM lessons WHERE title = 'x <=> y'", None),
        ("SELECT id FROM lessons -- <=>", None),
        ("INSERT INTO lessons VALUES ('<=>')", None),
        ("EXPLAIN SELECT id FROM lessons ORDER BY embedding <=> :query", None),
        ("SELECT 1", None),
    ],
)
def test_statements_of_pgvector_are_known_by_their_operators(statement: str, table: str | None) -> None:
    assert searched_table(statement) == table


def test_vector_stores_are_named_as_instrumentations_are() -> None:
    assert "vector_stores" in {entry.name for entry in choose(True)}
    assert [entry.name for entry in choose(["vector_stores"])] == ["vector_stores"]
    assert choose(["vector_stores"], {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "redis, vector_stores"}) == []
    assert choose(False) == []
