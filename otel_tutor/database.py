"""One SQL statement becomes one client span, by opentelemetry-instrumentation-sqlalchemy.

Its tracer of a single engine is used, not its instrumentor: that one patches SQLAlchemy for the whole process, takes engines
only once, and refuses SQLAlchemy 2.1 although the tracer works with it.
"""

from pathlib import PurePath
from typing import Any, Final
from weakref import WeakSet

from opentelemetry import metrics

from otel_tutor.errors import ConfigurationError
from otel_tutor.tracing import tracer

__all__ = ["as_engines", "observe_engine"]

_observed: Final[WeakSet[Any]] = WeakSet()


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
    """Trace the statements of an engine; a second time for the same engine, nothing."""
    if engine in _observed:
        return
    from opentelemetry.instrumentation.sqlalchemy.engine import EngineTracer

    class Tracer(EngineTracer):
        def _operation_name(self, db_name: str | None, statement: object) -> str:
            # SQLite's database is a path, which has no place in the name of a span.
            name = db_name and PurePath(db_name).name
            return str(super()._operation_name(name, statement))  # type: ignore[no-untyped-call]  # upstream has no types

    _observed.add(engine)
    # Its connection counter costs four SDK calls a checkout for what the pool knows anyway: it gets none to count with.
    Tracer(tracer(), engine, metrics.NoOpUpDownCounter("unused"))  # type: ignore[no-untyped-call]
