"""Searches with sqlite-vec: statements with MATCH on one of its tables, through sqlite3 and what is built on that.

The classes of sqlite3 cannot be changed. So connections that are opened once sqlite_vec is imported are of a subclass that
sees their statements, those of SQLAlchemy and aiosqlite too. What aiosqlite searches runs in another thread, in no trace.
"""

import functools
import math
import re
from types import ModuleType
from typing import Any, Final

from otel_tutor.instrumentation.vector_stores.documents import state_documents
from otel_tutor.instrumentation.vector_stores.search import Collection, Search
from otel_tutor.recording import clock
from otel_tutor.recording.guard import attempt
from otel_tutor.recording.sql import keyword
from otel_tutor.recording.values import to_text

__all__ = ["TRACED", "observe_sqlite"]

TRACED: Final = "_otel_tutor_traced"  # attribute of a cursor whose statement has a span
_TABLES: Final = "_otel_tutor_tables"  # attribute of a connection
_COUNT_EVERY: Final = 10.0  # seconds; a million rows take some milliseconds
_FACTORY: Final = 5  # the place of this argument of connect()
Table = tuple[str, str]  # the name of its schema, or "", and its own

_NO_CODE: Final = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)
_MATCH: Final = re.compile(r"\bMATCH\b", re.IGNORECASE)
_NAME: Final = r'(?:"[^"]+"|`[^`]+`|\[[^\]]+\]|\w+)'
_TABLE: Final = re.compile(rf"(?:\b(?:FROM|JOIN)|,)\s+(?:({_NAME})\s*\.\s*)?({_NAME})", re.IGNORECASE)
_QUOTES: Final = '"`[]'
_DEFINITION: Final = "SELECT sql FROM {} WHERE name = ? COLLATE NOCASE"
_OF_VEC: Final = re.compile(r"\bUSING\s+[\"`\[]?vec0\b", re.IGNORECASE)


def observe_sqlite(_: ModuleType) -> None:
    """Have the connections that are opened from now on observed."""
    import sqlite3

    original = sqlite3.connect

    @functools.wraps(original)
    def connect(*args: Any, **kwargs: Any) -> Any:
        if len(args) <= _FACTORY:
            factory = kwargs.get("factory", sqlite3.Connection)
            kwargs["factory"] = attempt(_connection_kind, factory) or factory
        return original(*args, **kwargs)

    sqlite3.connect = sqlite3.dbapi2.connect = connect  # SQLAlchemy takes the second


@functools.lru_cache(maxsize=64)  # an app has one or two
def _connection_kind(kind: Any) -> Any:
    """A subclass whose statements are observed, and those of its cursors, unless it makes these in its own way."""
    import sqlite3

    if not isinstance(kind, type):  # anything that can be called is a factory
        return kind
    observed = _observing(kind)
    if observed.cursor is sqlite3.Connection.cursor:

        def cursor(self: Any, factory: Any = sqlite3.Cursor) -> Any:
            return kind.cursor(self, attempt(_cursor_kind, factory) or factory)  # type: ignore[attr-defined]

        observed.cursor = cursor
    return observed


@functools.lru_cache(maxsize=64)
def _cursor_kind(kind: Any) -> Any:
    """A subclass whose statements are observed."""
    return _observing(kind) if isinstance(kind, type) else kind


def _observing(kind: Any) -> Any:
    """A subclass of one of sqlite3's classes. A connection makes cursors in C for what it executes itself."""

    def execute(self: Any, *args: Any, **kwargs: Any) -> Any:
        table = attempt(_searched_table, self, *args)
        search = None if table is None else attempt(_begin, self, table)
        if table is None or search is None:
            return kind.execute(self, *args, **kwargs)
        try:
            with search.active():
                result = kind.execute(self, *args, **kwargs)
        except BaseException as error:
            attempt(search.end, error)
            raise
        attempt(search.end)
        attempt(_count_documents, self, table)
        return result

    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    return type(kind.__name__, (kind,), {**names, "execute": execute, TRACED: False})


def _searched_table(runner: Any, statement: object = None, *_: object) -> Table | None:
    """The table that a statement searches in; None for a statement that is no search, or is a part of one."""
    if type(statement) is not str or not _MATCH.search(statement) or Search.current() is not None:
        return None
    return next((table for table in _tables(statement) if _is_of_vec(runner, table)), None)


@functools.lru_cache(maxsize=512)  # an app has that many statements; those with values in them come and go
def _tables(statement: str) -> tuple[Table, ...]:
    """The tables that a query with MATCH may read from."""
    code = _NO_CODE.sub("''", statement)
    if not _MATCH.search(code) or keyword(statement).upper() != "SELECT":
        return ()
    return tuple((schema.strip(_QUOTES), name.strip(_QUOTES)) for schema, name in _TABLE.findall(code))


def _is_of_vec(runner: Any, table: Table) -> bool:
    """Whether it is a table of sqlite-vec. Another one, of a full-text search, is looked up each time: it may change."""
    known = _known(runner)
    if table not in known:
        schema, name = table
        catalogues = [f"{_quoted(schema)}.sqlite_master"] if schema else ["sqlite_master", "sqlite_temp_master"]
        definitions = [_ask(runner, _DEFINITION.format(catalogue), name) for catalogue in catalogues]
        if not any(_OF_VEC.search(to_text(sql) or "") for sql in definitions):
            return False
        known[table] = -math.inf
    return True


def _begin(runner: Any, table: Table) -> Search:
    return Search(Collection(store="sqlite", name=table[1]), "SELECT", traced=not getattr(runner, TRACED))


def _count_documents(runner: Any, table: Table) -> None:
    """Count the rows now and then, in the thread of the connection. The table that has their numbers is fast to count."""
    known = _known(runner)
    if clock.now() - known[table] >= _COUNT_EVERY:
        known[table] = clock.now()
        schema, name = table
        rows = ".".join(_quoted(part) for part in (schema, f"{name}_rowids") if part)
        state_documents(name, _ask(runner, f"SELECT count(*) FROM {rows}"))


def _known(runner: Any) -> dict[Table, float]:
    """The tables that are known to be of sqlite-vec, and when their rows were counted."""
    known: dict[Table, float] = vars(getattr(runner, "connection", runner)).setdefault(_TABLES, {})
    return known


def _ask(runner: Any, query: str, *values: str) -> Any:
    """The first value of the first row, or None; without the app's factories of rows and cursors."""
    import sqlite3

    row = sqlite3.Cursor(getattr(runner, "connection", runner)).execute(query, values).fetchone()
    return None if row is None else row[0]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
