"""One SQL statement becomes one client span and one duration; a pool's connections are counted when they are exported.

Spans are those of opentelemetry-instrumentation-sqlalchemy. Its tracer of a single engine is used, not its instrumentor:
that one patches SQLAlchemy for the whole process, takes engines only once, and refuses SQLAlchemy 2.1 although the tracer
works with it. What it does not measure is measured here: durations, and a pool by what the pool itself knows.
"""

import functools
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any, Final
from weakref import WeakSet

from opentelemetry import metrics

from otel_tutor import catalogue
from otel_tutor.errors import ConfigurationError
from otel_tutor.recording import clock
from otel_tutor.recording.guard import harmless
from otel_tutor.recording.instruments import Labels, bounded, observe, record
from otel_tutor.tracing import tracer

__all__ = ["as_engines", "observe_engine", "observe_pools"]

_observed: Final[WeakSet[Any]] = WeakSet()
_observe: Final = harmless(record)
_STARTED: Final = "_otel_tutor_started"  # attribute of SQLAlchemy's context of one statement


def as_engines(given: Any) -> list[Any]:
    """The sync engines in an engine, an async engine or a list of them. Raises ConfigurationError for anything else."""
    if given is None:
        return []
    engines = [getattr(one, "sync_engine", one) for one in (given if isinstance(given, (list, tuple)) else [given])]
    for one in engines:
        if not (hasattr(one, "pool") and hasattr(one, "dialect")):
            raise ConfigurationError(f"engine={one!r} is not a SQLAlchemy engine: pass what create_engine() returned")
    return engines


def observe_engine(engine: Any) -> None:
    """Trace and time the statements of an engine; a second time for the same engine, nothing."""
    if engine in _observed:
        return
    from opentelemetry.instrumentation.sqlalchemy.engine import EngineTracer
    from sqlalchemy import event

    class Tracer(EngineTracer):
        def _operation_name(self, db_name: str | None, statement: object) -> str:
            # SQLite's database is a path, which has no place in the name of a span.
            name = db_name and PurePath(db_name).name
            return str(super()._operation_name(name, statement))  # type: ignore[no-untyped-call]  # upstream has no types

    _observed.add(engine)
    # Its connection counter costs four SDK calls a checkout for what the pool knows anyway: it gets none to count with.
    Tracer(tracer(), engine, metrics.NoOpUpDownCounter("unused"))  # type: ignore[no-untyped-call]
    event.listen(engine, "before_cursor_execute", _start_clock, named=True)
    event.listen(engine, "after_cursor_execute", _succeeded, named=True)
    event.listen(engine, "handle_error", _failed)
    _time_waiting(engine)
    event.listen(engine, "engine_disposed", _time_waiting)  # it has a new pool then


def observe_pools() -> None:
    """Have the pools of all engines counted at every export; `configure()` calls this once."""
    observe(catalogue.DB_CONNECTIONS, _count_connections)
    observe(catalogue.DB_CONNECTIONS_MAX, _count_most_connections)


def _time_waiting(engine: Any) -> None:
    """Time how long the pool takes to hand out a connection, opening one included; no event of SQLAlchemy begins there."""
    obtain, labels = engine.pool.connect, _pool(engine)

    @functools.wraps(obtain)
    def connect() -> Any:
        started = clock.now()
        try:
            return obtain()
        finally:
            _observe(catalogue.DB_WAIT, clock.now() - started, labels)

    engine.pool.connect = connect


def _start_clock(**given: Any) -> None:
    setattr(given["context"], _STARTED, clock.now())


def _succeeded(**given: Any) -> None:
    _record(given["statement"], given["context"], "success")


def _failed(error: Any) -> None:
    if error.execution_context is not None:
        _record(error.statement, error.execution_context, "error")


@harmless
def _record(statement: str | None, context: Any, outcome: str) -> None:
    started = context.__dict__.pop(_STARTED, None)
    if started is not None:
        operation = (statement or "").split(maxsplit=1)[:1]
        labels = {
            catalogue.DB_OPERATION.key: bounded(catalogue.DB_OPERATION, operation[0].upper() if operation else None),
            catalogue.OUTCOME.key: outcome,
        }
        record(catalogue.DB_OPERATION_DURATION, clock.now() - started, labels)


def _count_connections() -> Iterable[tuple[float, Labels]]:
    for engine in list(_observed):
        for state, method in (("used", "checkedout"), ("idle", "checkedin")):
            if count := getattr(engine.pool, method, None):  # a pool that keeps no connection counts none
                yield count(), {**_pool(engine), catalogue.DB_STATE.key: state}


def _count_most_connections() -> Iterable[tuple[float, Labels]]:
    for engine in list(_observed):
        size, overflow = getattr(engine.pool, "size", None), getattr(engine.pool, "_max_overflow", -1)
        if size is not None and overflow >= 0:  # -1 is no limit
            yield size() + overflow, _pool(engine)


def _pool(engine: Any) -> dict[str, str]:
    name = PurePath(engine.url.database or engine.dialect.name).name
    return {catalogue.DB_POOL.key: bounded(catalogue.DB_POOL, name)}
