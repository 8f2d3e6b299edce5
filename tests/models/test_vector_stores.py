"""Real vector stores: N searches are N counts and N spans, and the documents are what the store says, however it is called.

Each store runs through the same scenarios in one process, beside OpenLLMetry's instrumentations of these stores. What they
record stays in the memory of that process, which prints it as JSON.
"""

import functools
import json
import os
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.environments import environment

pytestmark = pytest.mark.models

PACKAGES = (
    *("chromadb", "qdrant-client", "faiss-cpu", "lancedb", "sqlite-vec", "numpy"),
    *("sqlalchemy", "pgvector", "psycopg[binary]", "greenlet", "aiosqlite"),
    "pgserver",  # a PostgreSQL with pgvector, without root or Docker
    "pysqlite3-binary",  # where Python's own sqlite3 loads no extensions
    *(f"opentelemetry-instrumentation-{store}" for store in ("chromadb", "qdrant", "lancedb")),
)
START = """
import asyncio, json, os, sys, tempfile, warnings
from concurrent.futures import ThreadPoolExecutor
warnings.simplefilter("ignore")
import sqlite3
if not hasattr(sqlite3.Connection, "enable_load_extension"):
    import pysqlite3
    sys.modules["sqlite3"] = sqlite3 = pysqlite3
import numpy as np
import otel_tutor
from otel_tutor.monitoring import metrics_collector
from otel_tutor.testing import capture
from otel_tutor.tracing import trace_operation

captured = capture()
otel_tutor.configure(**json.loads(sys.argv[1]))
VECTORS = np.random.default_rng(1).random((20, 4)).astype("float32")
ROWS = [{"vector": vector.tolist(), "id": number} for number, vector in enumerate(VECTORS)]
SECRET = "Ada Lovelace"
loop = asyncio.new_event_loop()
end = lambda: None

def call(function, *arguments):
    result = function(*arguments)
    return loop.run_until_complete(result) if asyncio.iscoroutine(result) else result
"""
CHROMA_SERVER = """
import chromadb, socket, subprocess, time
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
command = [os.path.join(os.path.dirname(sys.executable), "chroma"), "run", "--port", str(port), "--path", tempfile.mkdtemp()]
server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
deadline = time.monotonic() + 60
while True:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        break
    except OSError:
        if time.monotonic() > deadline:
            raise
        time.sleep(0.1)
end = server.kill
"""
CHROMA = """
def search():
    return collection.query(query_embeddings=[VECTORS[7]], n_results=1)
def fail():
    return collection.query(query_embeddings=[[1.0]], where_document={"$contains": SECRET})
def add():
    return collection.add(ids=["20"], embeddings=[[1.0, 0.0, 0.0, 0.0]])
def nearest(result):
    return int(result["ids"][0][0])
count = collection.count
"""
QDRANT = """
from qdrant_client import AsyncQdrantClient, QdrantClient, models
points = [models.PointStruct(id=row["id"], vector=row["vector"]) for row in ROWS]
def fail():
    return client.query_points("lessons", query=VECTORS[7].tolist(), using=SECRET)
def search():
    return client.query_points("lessons", query=VECTORS[7].tolist(), limit=1)
def add():
    return client.upsert("lessons", points=[models.PointStruct(id=20, vector=[1.0, 0.0, 0.0, 0.0])])
def nearest(result):
    return result.points[0].id
config = models.VectorParams(size=4, distance=models.Distance.EUCLID)
"""
SQLITE = """
import sqlite_vec
SQL = "SELECT rowid FROM lessons WHERE embedding MATCH ? AND k = 1"
CREATE = "CREATE VIRTUAL TABLE lessons USING vec0(embedding float[4])"
INSERT = "INSERT INTO lessons(rowid, embedding) VALUES (?, ?)"
def load(connection, _=None):
    connection.enable_load_extension(True)
    sqlite_vec.load(connection)
count = add = None
"""
POSTGRES = """
import pgserver, sqlalchemy as sa
from pgvector.sqlalchemy import Vector
from sqlalchemy.ext.asyncio import create_async_engine
server = pgserver.get_server(tempfile.mkdtemp(), cleanup_mode="delete")
end = server.cleanup
url = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
lessons = sa.Table("lessons", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("vector", Vector(4)))
QUERY = sa.select(lessons.c.id).order_by(lessons.c.vector.l2_distance(VECTORS[7])).limit(1)
WRONG = sa.select(lessons.c.id).order_by(sa.text(f"vector <=> '{SECRET}'"))
engine = sa.create_engine(url)
with engine.begin() as connection:
    connection.execute(sa.text("CREATE EXTENSION vector"))
    lessons.metadata.create_all(connection)
    connection.execute(lessons.insert(), ROWS)
count = add = None
def nearest(result):
    return result
"""
STORES = {
    "chromadb": """
import chromadb
collection = chromadb.EphemeralClient().create_collection("lessons")
collection.add(ids=[str(row["id"]) for row in ROWS], embeddings=VECTORS)
"""
    + CHROMA,
    "chromadb over HTTP": CHROMA_SERVER
    + """
collection = chromadb.HttpClient(port=port).create_collection("lessons")
collection.add(ids=[str(row["id"]) for row in ROWS], embeddings=VECTORS)
"""
    + CHROMA,
    "chromadb over HTTP, async": CHROMA_SERVER
    + """
client = call(chromadb.AsyncHttpClient, "127.0.0.1", port)
collection = call(client.create_collection, "lessons")
call(lambda: collection.add(ids=[str(row["id"]) for row in ROWS], embeddings=VECTORS))
"""
    + CHROMA,
    "qdrant": QDRANT
    + """
client = QdrantClient(":memory:")
client.create_collection("lessons", vectors_config=config)
client.upsert(collection_name="lessons", points=points)
count = lambda: client.count("lessons").count
""",
    "qdrant, async": QDRANT
    + """
client = AsyncQdrantClient(":memory:")
call(lambda: client.create_collection("lessons", vectors_config=config))
call(lambda: client.upsert(collection_name="lessons", points=points))
async def count():
    return (await client.count("lessons")).count
""",
    "faiss": """
import faiss
index = faiss.IndexFlatL2(4)
index.add(VECTORS)
search = lambda: index.search(VECTORS[7:8], 1)
fail = lambda: index.search(VECTORS[:, :2], 1)
add = lambda: index.add(VECTORS[:1])
nearest = lambda result: int(result[1][0][0])
count = lambda: index.ntotal
""",
    "lancedb": """
import lancedb
table = lancedb.connect(tempfile.mkdtemp()).create_table("lessons", ROWS[:19])
table.add(ROWS[19:])
search = lambda: table.search(VECTORS[7]).limit(1).to_list()
fail = lambda: table.search(VECTORS[7]).where(f"nothing = '{SECRET}'").to_list()
add = lambda: table.add([{"vector": [1.0, 0.0, 0.0, 0.0], "id": 20}])
nearest = lambda result: result[0]["id"]
count = table.count_rows
""",
    "lancedb, async": """
import lancedb
database = call(lancedb.connect_async, tempfile.mkdtemp())
table = call(database.create_table, "lessons", ROWS)
search = lambda: table.vector_search(VECTORS[7]).limit(1).to_list()
fail = lambda: table.vector_search(VECTORS[7]).where(f"nothing = '{SECRET}'").to_list()
add = lambda: table.add([{"vector": [1.0, 0.0, 0.0, 0.0], "id": 20}])
nearest = lambda result: result[0]["id"]
count = table.count_rows
""",
    "sqlite-vec": SQLITE
    + """
database = sqlite3.connect(":memory:", check_same_thread=False)
load(database)
database.execute(CREATE)
database.executemany(INSERT, [(number, vector.tobytes()) for number, vector in enumerate(VECTORS)])
import threading
lock = threading.Lock()
def search():
    with lock:
        return database.execute(SQL, (VECTORS[7].tobytes(),)).fetchall()
fail = lambda: database.cursor().execute(SQL, (SECRET,))
nearest = lambda result: result[0][0]
""",
    "sqlite-vec, SQLAlchemy": SQLITE
    + """
import sqlalchemy as sa
engine = sa.create_engine("sqlite:///" + os.path.join(tempfile.mkdtemp(), "lessons.db"))
sa.event.listen(engine, "connect", load)
with engine.begin() as connection:
    connection.exec_driver_sql(CREATE)
    for number, vector in enumerate(VECTORS):
        connection.exec_driver_sql(INSERT, (number, vector.tobytes()))
def ask(vector):
    with engine.connect() as connection:
        return connection.exec_driver_sql(SQL, (vector,)).scalar()
search = lambda: ask(VECTORS[7].tobytes())
fail = lambda: ask(SECRET)
nearest = lambda result: result
""",
    "pgvector": POSTGRES
    + """
def ask(query):
    with engine.connect() as connection:
        return connection.execute(query).scalar()
search = lambda: ask(QUERY)
fail = lambda: ask(WRONG)
""",
    "pgvector, async": POSTGRES
    + """
engine.dispose()
engine = create_async_engine(url)
async def ask(query):
    async with engine.connect() as connection:
        return (await connection.execute(query)).scalar()
search = lambda: ask(QUERY)
fail = lambda: ask(WRONG)
""",
}
SCENARIOS = """
def seen():
    series = captured.read_metrics()
    def total(name):
        numbers = {}
        for point in series.get(name, []):
            number = point.value if point.value is not None else point.count
            if number:
                numbers[" ".join(point.attributes.values())] = number
        return numbers
    clients = [span for span in captured.spans if span.kind.name == "CLIENT"]
    spans = [span for span in clients if span.instrumentation_scope.name == "otel_tutor"]
    return {
        "searches": total("vector_store.searches"),
        "durations": total("vector_store.search.duration"),
        "documents": total("vector_store.documents"),
        "spans": [[dict(span.attributes), span.status.status_code.name, len(span.events)] for span in spans],
        "names": [span.name for span in spans],
        "traces": len({span.context.trace_id for span in spans}),
        "everything": " ".join(span.to_json() for span in spans),
    }

results = {}

def scenario(name, act):
    captured.reset()
    answer = act()
    # An async client is asked for its count in its event loop, which runs meanwhile.
    results[name] = {"answer": answer, **loop.run_until_complete(asyncio.to_thread(seen))}

def failing():
    try:
        call(fail)
    except Exception:
        return "raised"

def at_once():
    if asyncio.iscoroutine(first := search()):
        async def gather():
            return await asyncio.gather(first, *(search() for _ in range(7)))
        return [nearest(result) for result in loop.run_until_complete(gather())]
    with ThreadPoolExecutor(4) as threads:
        return [nearest(first), *(nearest(result) for result in threads.map(lambda _: search(), range(7)))]

def by_hand(name):
    with trace_operation("rag.retrieval", {}):
        call(search)
        metrics_collector.track_vector_search(name, 0.1)
    metrics_collector.track_vector_search(name, 0.2)

scenario("three", lambda: [nearest(call(search)) for _ in range(3)])
scenario("failing", failing)
scenario("at once", at_once)
scenario("by hand", lambda: by_hand("lessons"))
scenario("by hand elsewhere", lambda: by_hand("shelf"))
if add is not None:
    scenario("a change", lambda: (call(add), call(count))[1])
print(json.dumps(results))
"""
END = """
end()
sys.stdout.flush()
os._exit(0)  # clients of stores have threads that may wait for long
"""


@pytest.fixture(scope="session")
def interpreter() -> Path:
    return environment("models-vector-stores", *PACKAGES)


def run(interpreter: Path, program: str, **options: Any) -> Any:
    command = [str(interpreter), "-c", textwrap.dedent(program), json.dumps(options)]
    environ = {**os.environ, "ANONYMIZED_TELEMETRY": "False"}
    result = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False, env=environ)
    assert result.returncode == 0, result.stderr
    assert "something was not recorded" not in result.stderr
    return json.loads(result.stdout.splitlines()[-1])


@pytest.fixture(scope="session")
def seen(interpreter: Path) -> Callable[[str], Any]:
    """What one store made of each scenario."""
    return functools.cache(lambda store: run(interpreter, START + STORES[store] + SCENARIOS + END))


def label(store: str) -> str:
    return "IndexFlatL2" if store == "faiss" else "lessons"


@pytest.mark.parametrize("store", STORES)
def test_each_search_is_one_count_and_one_span(store: str, seen: Callable[[str], Any]) -> None:
    three, name = seen(store)["three"], label(store)

    assert three["answer"] == [7, 7, 7]
    assert (three["searches"], three["durations"]) == ({f"{name} success": 3}, {name: 3})
    assert three["traces"] == 3
    for attributes, status, events in three["spans"]:
        assert set(attributes) == {"db.system.name", "db.operation.name", "db.collection.name"}
        assert (attributes["db.collection.name"], status, events) == (name, "UNSET", 0)
    assert [text.split()[-1] for text in three["names"]] == [name] * 3


@pytest.mark.parametrize("store", STORES)
def test_a_search_that_fails_is_an_error_without_its_message(store: str, seen: Callable[[str], Any]) -> None:
    failing = seen(store)["failing"]

    assert failing["answer"] == "raised"
    assert (failing["searches"], failing["durations"]) == ({f"{label(store)} error": 1}, {})
    ((attributes, status, events),) = failing["spans"]
    assert (status, events) == ("ERROR", 0)
    assert attributes["error.type"]
    assert "Ada Lovelace" not in failing["everything"]


@pytest.mark.parametrize("store", STORES)
def test_searches_in_threads_or_tasks_at_once_are_counted_each(store: str, seen: Callable[[str], Any]) -> None:
    at_once = seen(store)["at once"]

    assert at_once["answer"] == [7] * 8
    assert at_once["searches"] == {f"{label(store)} success": 8}
    assert len(at_once["spans"]) == 8


@pytest.mark.parametrize("store", STORES)
def test_a_search_that_is_recorded_by_hand_as_well_counts_once(store: str, seen: Callable[[str], Any]) -> None:
    """Of two calls by hand, the first is about the search in its trace, and the second about another one, in no trace."""
    name = label(store)
    others = {"shelf success": 1} if store == "faiss" else {"shelf success": 2}  # its index has no name, any other has

    expected = {f"{name} success": 1, "lessons success": 1} if store == "faiss" else {f"{name} success": 2}
    assert seen(store)["by hand"]["searches"] == expected
    assert seen(store)["by hand elsewhere"]["searches"] == {f"{name} success": 1, **others}


@pytest.mark.parametrize("store", [name for name in STORES if not name.startswith("pgvector")])
def test_documents_are_as_many_as_the_store_says(store: str, seen: Callable[[str], Any]) -> None:
    results = seen(store)

    assert results["three"]["documents"] == {label(store): 20}
    if "a change" in results:
        assert results["a change"]["documents"] == {label(store): results["a change"]["answer"]} == {label(store): 21}


def test_nothing_is_imported_and_a_store_that_was_imported_before_is_observed(interpreter: Path) -> None:
    program = """
    import json, sys
    import faiss, numpy
    import otel_tutor
    from otel_tutor.testing import capture
    before = set(sys.modules)
    captured = capture()
    otel_tutor.configure(**json.loads(sys.argv[1]))
    stores = {"chromadb", "qdrant_client", "lancedb", "sqlite_vec", "sqlite3", "sqlalchemy"}
    loaded = sorted(stores & set(sys.modules) - before)
    index = faiss.IndexFlatL2(4)
    index.search(numpy.zeros((1, 4), "float32"), 1)
    print(json.dumps([loaded, captured.value("vector_store_search_total", collection="IndexFlatL2", status="success")]))
    """

    assert run(interpreter, program, instrument=["vector_stores"]) == [[], 1]
    assert run(interpreter, program, instrument=False) == [[], 0]


def test_a_statement_that_has_a_span_gets_no_other(interpreter: Path) -> None:
    program = """
otel_tutor.configure(engine=engine)
captured.reset()
search()
print(json.dumps([captured.value("vector_store_search_total"), [span.name for span in captured.spans]]))
"""
    sqlite = run(interpreter, START + STORES["sqlite-vec, SQLAlchemy"] + program + END)
    postgres = run(interpreter, START + STORES["pgvector"] + program + END)

    assert sqlite == [1, ["SELECT lessons.db"]]
    assert postgres == [1, ["SELECT postgres"]]


@pytest.mark.parametrize("store", ["chromadb", "qdrant, async", "sqlite-vec"])
def test_an_app_searches_as_before_while_telemetry_is_broken(store: str, interpreter: Path) -> None:
    program = """
def fail_to_generate():
    raise RuntimeError("telemetry is broken")
captured._ids.generate_span_id = fail_to_generate
print(json.dumps([nearest(call(search)), failing()]))
"""
    functions = SCENARIOS[SCENARIOS.index("def failing") : SCENARIOS.index("def at_once")]
    options = json.dumps({"instrument": ["vector_stores"]})  # OpenLLMetry's pass their own failures on
    command = [str(interpreter), "-c", START + STORES[store] + functions + program + END, options]
    result = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)

    assert json.loads(result.stdout) == [7, "raised"]
    assert "something was not recorded" in result.stderr
