"""Searches with pgvector, which are statements of SQLAlchemy that compare vectors.

A statement of an engine that `configure()` was given has a span already; there a search gets none of its own.
"""

import functools
import re
import sys
from types import ModuleType
from typing import Any, Final

from otel_tutor.instrumentation.vector_stores.search import Collection, Search
from otel_tutor.instrumentation.vector_stores.sqlite import TRACED
from otel_tutor.recording.guard import never_raise
from otel_tutor.recording.sql import keyword
from otel_tutor.recording.state import state
from otel_tutor.recording.values import UNKNOWN

__all__ = ["observe_sqlalchemy", "searched_table"]

_SEARCH: Final = "_otel_tutor_search"  # attribute of SQLAlchemy's context of one statement
_NO_CODE: Final = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)
_NAME: Final = r'(?:"[^"]+"|\w+)'
_OPERATOR: Final = re.compile(rf"(?:({_NAME})\.{_NAME}\s*)?(<->|<=>|<#>)")
_VECTOR: Final = re.compile("vec|embed", re.IGNORECASE)
_FROM: Final = re.compile(rf"\bFROM\s+((?:{_NAME}\.)?{_NAME})", re.IGNORECASE)


def observe_sqlalchemy(_: ModuleType) -> None:
    """Have each search of every engine recorded; engines that are there already are among them."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    event.listen(Engine, "before_cursor_execute", _begin)
    event.listen(Engine, "after_cursor_execute", _succeeded)
    event.listen(Engine, "handle_error", _failed)


@never_raise
def _begin(connection: Any, cursor: Any, statement: str, _: Any, context: Any, __: bool) -> None:
    dialect = connection.dialect.name
    if dialect == "sqlite" and hasattr(cursor, TRACED):
        setattr(cursor, TRACED, _is_traced(connection))
    elif dialect == "postgresql" and (table := searched_table(statement)) is not None:
        collection = Collection(store="postgresql", name=table)
        setattr(context, _SEARCH, Search(collection, "SELECT", traced=not _is_traced(connection)))


def _is_traced(connection: Any) -> bool:
    return any(connection.engine.pool is engine.pool for engine in list(state.engines))  # options make a copy of an engine


@never_raise
def _succeeded(_: Any, __: Any, ___: str, ____: Any, context: Any, _____: bool) -> None:
    _end(context, None)


@never_raise
def _failed(error: Any) -> None:
    if error.execution_context is not None:
        _end(error.execution_context, error.original_exception)


def _end(context: Any, error: BaseException | None) -> None:
    search = getattr(context, _SEARCH, None)
    if search is not None:
        delattr(context, _SEARCH)
        search.end(error)


def searched_table(statement: str) -> str | None:
    """The table that a statement of PostgreSQL searches by vector; None for a statement that is no such search.

    PostGIS and pg_trgm have a `<->` as well. It is pgvector's where that is imported, or where the statement names vectors.
    """
    if not any(operator in statement for operator in ("<->", "<=>", "<#>")):
        return None
    table, operators = _parsed(statement)
    is_vector = bool(operators - {"<->"}) or "pgvector" in sys.modules or bool(_VECTOR.search(statement))
    return table.removeprefix("public.") if operators and is_vector else None


@functools.lru_cache(maxsize=512)  # an app has that many statements; those with values in them come and go
def _parsed(statement: str) -> tuple[str, frozenset[str]]:
    if keyword(statement).upper() != "SELECT":
        return "", frozenset()
    code = _NO_CODE.sub("''", statement)
    found = _OPERATOR.findall(code)
    tables = _FROM.findall(code)
    qualifier = next((name for name, _ in found if name), None)
    return _table(code, qualifier, tables), frozenset(operator for _, operator in found)


def _table(code: str, qualifier: str | None, tables: list[str]) -> str:
    """The table whose column is compared, also where it has an alias; else the first that is read from."""
    if qualifier is None:
        return tables[0].replace('"', "") if tables else UNKNOWN
    alias = re.search(
        rf"\b(?:FROM|JOIN)\s+((?:{_NAME}\.)?{_NAME})\s+(?:AS\s+)?{re.escape(qualifier)}\b", code, re.IGNORECASE
    )
    return (alias[1] if alias else qualifier).replace('"', "")
