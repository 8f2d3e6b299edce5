"""One SQL statement becomes one client span and one duration; a pool's connections are counted when they are exported.

Spans are those of opentelemetry-instrumentation-sqlalchemy (`pipeline/upstream`). What it does not measure is measured
here: durations, and a pool by what the pool itself knows. Where SQLAlchemy does not have what one measurement needs, that
measurement is left out and nothing else changes.
"""

import functools
from collections.abc import Callable, Iterable
from pathlib import PurePath
from typing import Any, Final

from otel_tutor import catalogue
from otel_tutor.errors import ConfigurationError, refusing
from otel_tutor.recording import clock
from otel_tutor.recording.guard import attempt, log_internal_error, never_raise
from otel_tutor.recording.instruments import Labels, labels, limit_cardinality, observe, record
from otel_tutor.recording.sql import keyword
from otel_tutor.recording.state import state

__all__ = ["observe_engine", "observe_pools", "sync_engines"]

_STARTED: Final = "_otel_tutor_started"  # attribute of SQLAlchemy's context of one statement


@refusing("engine")
def sync_engines(engine: Any) -> list[Any]:
    """The sync engines in an engine, an async engine or a list of them. Raises ConfigurationError for anything else."""
    if engine is None:
        return []
    engines = engine if isinstance(engine, (list, tuple)) else [engine]
    sync = [getattr(candidate, "sync_engine", candidate) for candidate in engines]
    for candidate in sync:
        if not (hasattr(candidate, "pool") and hasattr(candidate, "dialect")):
            raise ConfigurationError(f"engine={candidate!r} is not a SQLAlchemy engine: pass what create_engine() returned")
    return sync


def observe_engine(engine: Any, trace_statements: Callable[[Any], None]) -> None:
    """Time the statements of an engine and have `trace_statements` trace them. A second call for it has no effect."""
    if type(getattr(engine.dialect, "name", None)) is not str:  # a stand-in for one, in a test of the app
        log_internal_error(TypeError("the engine is none of SQLAlchemy's: its statements are not traced"))
    elif engine not in state.engines:
        state.engines.add(engine)
        for observe_part in (trace_statements, _time_statements, _time_waiting):
            attempt(observe_part, engine)


def observe_pools() -> None:
    """Have the pools of all engines counted at every export; `configure()` calls this once."""
    observe(catalogue.DB_CONNECTIONS, _count_connections)
    observe(catalogue.DB_CONNECTIONS_MAX, _count_most_connections)


def _time_statements(engine: Any) -> None:
    from sqlalchemy import event

    event.listen(engine, "before_cursor_execute", _start_clock)
    event.listen(engine, "after_cursor_execute", _succeeded)
    event.listen(engine, "handle_error", _failed)


def _time_waiting(engine: Any) -> None:
    from sqlalchemy import event

    _time_pool(engine)
    event.listen(engine, "engine_disposed", _time_pool)  # it has a new pool then


@never_raise
def _time_pool(engine: Any) -> None:
    """Time how long the pool takes to give a connection, opening one included; no event of SQLAlchemy begins there.

    A pool that does not let its `connect` be replaced (`__slots__`) is left as it is.
    """
    obtain, of_pool = engine.pool.connect, _pool(engine)

    @functools.wraps(obtain)
    def connect() -> Any:
        started = clock.now()
        try:
            return obtain()
        finally:
            record(catalogue.DB_WAIT, clock.now() - started, of_pool)

    engine.pool.connect = connect


@never_raise
def _start_clock(_conn: Any, _cursor: Any, _statement: str, _parameters: Any, context: Any, _executemany: bool) -> None:
    setattr(context, _STARTED, clock.now())


def _succeeded(_conn: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _executemany: bool) -> None:
    _record(statement, context, "success")


def _failed(error: Any) -> None:
    if error.execution_context is not None:
        _record(error.statement, error.execution_context, "error")


@never_raise
def _record(statement: str | None, context: Any, outcome: str) -> None:
    started = getattr(context, _STARTED, None)
    if started is not None:
        delattr(context, _STARTED)
        of_statement = labels((catalogue.DB_OPERATION, keyword(statement).upper()), (catalogue.OUTCOME, outcome))
        record(catalogue.DB_OPERATION_DURATION, clock.now() - started, of_statement)


def _count_connections() -> Iterable[tuple[float, Labels]]:
    for engine in list(state.engines):
        for connection_state, method in (("used", "checkedout"), ("idle", "checkedin")):
            if count := getattr(engine.pool, method, None):  # a pool that keeps no connection counts none
                yield count(), {**_pool(engine), catalogue.DB_STATE.key: connection_state}


def _count_most_connections() -> Iterable[tuple[float, Labels]]:
    for engine in list(state.engines):
        size, overflow = getattr(engine.pool, "size", None), getattr(engine.pool, "_max_overflow", None)
        if size is not None and isinstance(overflow, int) and overflow >= 0:  # -1 is no limit
            yield size() + overflow, _pool(engine)


def _pool(engine: Any) -> dict[str, str]:
    name = PurePath(engine.url.database or engine.dialect.name).name
    return {catalogue.DB_POOL.key: limit_cardinality(catalogue.DB_POOL, name)}
