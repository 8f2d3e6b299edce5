"""Searches with sqlite-vec: statements with MATCH on one of its tables, through sqlite3 and what is built on that.

The classes of sqlite3 cannot be changed. So connections that are opened once sqlite_vec is imported are of a subclass that
sees their statements, those of SQLAlchemy and aiosqlite too. What aiosqlite searches runs in another thread, in no trace.
"""

import functools
import re
from types import ModuleType
from typing import Any, Final

from otel_tutor.instrumentation.vector_stores.search import Collection, Search
from otel_tutor.recording.guard import attempt
from otel_tutor.recording.sql import keyword

__all__ = ["TRACED", "observe_sqlite"]

TRACED: Final = "_otel_tutor_traced"  # attribute of a cursor whose statement has a span
_TABLES: Final = "_otel_tutor_tables"  # attribute of a connection: the tables that are known to be of sqlite-vec
_FACTORY: Final = 5  # the place of this argument of connect()
_NO_CODE: Final = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)
_MATCH: Final = re.compile(r"\bMATCH\b", re.IGNORECASE)
_NAME: Final = r'(?:"[^"]+"|`[^`]+`|\[[^\]]+\]|\w+)'
_TABLE: Final = re.compile(rf"(?:\b(?:FROM|JOIN)|,)\s+(?:({_NAME})\s*\.\s*)?({_NAME})", re.IGNORECASE)
_QUERY: Final = "SELECT 1 FROM {} WHERE name = ? COLLATE NOCASE AND sql LIKE '%using%vec0%'"


def observe_sqlite(_: ModuleType) -> None:
    """Have the connections that are opened from now on observed."""
    import sqlite3
    import sqlite3.dbapi2  # where SQLAlchemy finds it

    original = sqlite3.connect

    @functools.wraps(original)
    def connect(*args: Any, **kwargs: Any) -> Any:
        if len(args) <= _FACTORY:
            factory = kwargs.get("factory", sqlite3.Connection)
            kwargs["factory"] = attempt(_connection_kind, factory) or factory
        return original(*args, **kwargs)

    sqlite3.connect = sqlite3.dbapi2.connect = connect


@functools.lru_cache(maxsize=64)  # an app has one or two
def _connection_kind(kind: Any) -> Any:
    """A subclass whose cursors are observed; the kind itself where it makes its cursors in another way."""
    import sqlite3

    if not isinstance(kind, type) or getattr(kind, "cursor", None) is not sqlite3.Connection.cursor:
        return kind

    @_named_like(kind)
    class Observed(kind):  # type: ignore[misc]  # known at run time only
        def cursor(self, factory: Any = sqlite3.Cursor) -> Any:
            return super().cursor(attempt(_cursor_kind, factory) or factory)

    return Observed


@functools.lru_cache(maxsize=64)
def _cursor_kind(kind: Any) -> Any:
    """A subclass whose statements are observed; the factory itself where it is no class."""
    if not isinstance(kind, type):
        return kind

    @_named_like(kind)
    class Observed(kind):  # type: ignore[misc]  # known at run time only
        def execute(self, *args: Any, **kwargs: Any) -> Any:
            search = attempt(_begin, self, *args)
            if search is None:
                return super().execute(*args, **kwargs)
            try:
                with search.active():
                    result = super().execute(*args, **kwargs)
            except BaseException as error:
                attempt(search.end, error)
                raise
            attempt(search.end)
            return result

    setattr(Observed, TRACED, False)
    return Observed


def _named_like(kind: type) -> Any:
    def name(observed: type) -> type:
        observed.__name__, observed.__qualname__, observed.__module__ = kind.__name__, kind.__qualname__, kind.__module__
        return observed

    return name


def _begin(cursor: Any, statement: object = None, *_: object) -> Search | None:
    """The search that a statement is; None for other statements."""
    if type(statement) is not str or not _MATCH.search(statement):
        return None
    for schema, table in _tables(statement):
        if _is_of_vec(cursor.connection, schema, table) and Search.current() is None:
            return Search(Collection(store="sqlite", name=table), "SELECT", traced=not getattr(cursor, TRACED))
    return None


@functools.lru_cache(maxsize=512)  # an app has that many statements; those with values in them come and go
def _tables(statement: str) -> tuple[tuple[str, str], ...]:
    """The tables that a query with MATCH may read from, each with its schema or ""."""
    code = _NO_CODE.sub("''", statement)
    if not _MATCH.search(code) or keyword(statement).upper() != "SELECT":
        return ()
    return tuple((schema.strip('"`[]'), table.strip('"`[]')) for schema, table in _TABLE.findall(code))


def _is_of_vec(connection: Any, schema: str, table: str) -> bool:
    """Whether it is a table of sqlite-vec. Another one, of a full-text search, is looked up each time: it may change."""
    import sqlite3

    known: set[tuple[str, str]] = vars(connection).setdefault(_TABLES, set())
    if (schema, table) not in known:
        quoted = schema.replace('"', '""')
        schemas = [f'"{quoted}".sqlite_master'] if schema else ["sqlite_master", "sqlite_temp_master"]
        cursor = sqlite3.Cursor(connection)  # without the app's factories
        if not any(cursor.execute(_QUERY.format(catalogue), (table,)).fetchone() for catalogue in schemas):
            return False
        known.add((schema, table))
    return True
