"""Spans of SQL statements, of single engines."""

import functools
import inspect
from collections.abc import Callable
from pathlib import PurePath
from types import SimpleNamespace
from typing import Any, Final, cast

from opentelemetry import metrics
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind

from otel_tutor.catalogue import DB_OPERATION
from otel_tutor.pipeline.upstream.workaround import WorkAround, is_usable
from otel_tutor.recording.operation import tracer
from otel_tutor.recording.sql import keyword
from otel_tutor.recording.state import state

__all__ = ["ENGINE_SPANS", "trace_engine"]

# Statements of an engine whose span is known, and their characters: at most 2 MB.
_STATEMENTS: Final = 512
_LONG: Final = 4096


def trace_engine(engine: Any) -> None:
    """Make a client span of each statement of a SQLAlchemy engine."""
    if is_usable(ENGINE_SPANS):
        # Its connection counter costs four SDK calls a checkout for what the pool knows anyway: it gets none to count with.
        _engine_tracer()(tracer(), engine, metrics.NoOpUpDownCounter("unused"))
        return
    from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor

    instrumentor = SQLAlchemyInstrumentor()
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()  # it takes engines only once: a later one comes with all the others
    # It declares SQLAlchemy 2.1 unsupported, and works with it.
    providers = {"tracer_provider": state.tracer_provider, "meter_provider": metrics.NoOpMeterProvider()}
    instrumentor.instrument(engines=list(state.engines), skip_dep_check=True, **providers)


@functools.cache
def _engine_tracer() -> Callable[..., Any]:
    from opentelemetry.instrumentation.sqlalchemy.engine import EngineTracer

    class Tracer(EngineTracer):
        def __init__(self, *args: Any) -> None:
            self.seen: dict[str, tuple[str, dict[str, Any]]] = {}  # name and attributes of the span of a statement
            super().__init__(*args)  # type: ignore[no-untyped-call]  # upstream has no types

        def _operation_name(self, db_name: str | None, statement: object) -> str:
            # SQLite's database is a path, which has no place in the name of a span.
            name = db_name and PurePath(db_name).name
            return " ".join(filter(None, (keyword(statement), name))) or str(self.vendor)

        def _set_db_client_span_attributes(self, span: Any, statement: object, db_name: str | None, attrs: Any) -> None:
            super()._set_db_client_span_attributes(span, statement, db_name, attrs)
            if operation := keyword(statement):  # there it is the name of the span, with that of the database
                span.set_attribute(DB_OPERATION.key, operation.upper())

        def _before_cur_exec(
            self, conn: Any, cursor: Any, statement: Any, params: Any, context: Any, executemany: bool
        ) -> tuple[Any, Any]:
            known = self.seen.get(statement)
            if known is not None and is_instrumentation_enabled():
                name, attributes = known
                context._otel_span = self.tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes)
                return statement, params
            before: Any = super()._before_cur_exec
            executed = before(conn, cursor, statement, params, context, executemany)
            span = getattr(context, "_otel_span", None)
            # It works out the same for the same statement where a connection stays with its server and its database: others
            # than these have a USE.
            is_fixed = self.vendor == "sqlite" or (self.vendor == "postgresql" and bool(conn.engine.url.host))
            if isinstance(span, ReadableSpan) and is_fixed and len(self.seen) < _STATEMENTS and len(statement) <= _LONG:
                self.seen[statement] = span.name, dict(span.attributes or {})
            return cast("tuple[Any, Any]", executed)

    return Tracer


def _names_spans() -> bool:
    """Whether it takes what it is given here, asks the methods that are overridden here, and ends the span it is left."""
    from opentelemetry.instrumentation.sqlalchemy.engine import EngineTracer, _after_cur_exec

    class Span:
        ended = False

        def end(self) -> None:
            self.ended = True

    span = Span()
    after: Any = _after_cur_exec
    after(None, None, "", None, SimpleNamespace(_otel_span=span), False)
    before = inspect.signature(EngineTracer._before_cur_exec)
    before.bind("self", "conn", "cursor", "statement", "params", "context", False)
    inspect.signature(EngineTracer).bind("tracer", "engine", "connections_usage")
    inspect.signature(EngineTracer._operation_name).bind("self", "db_name", "statement")
    inspect.signature(EngineTracer._set_db_client_span_attributes).bind("self", "span", "statement", "db_name", "attrs")
    return span.ended


ENGINE_SPANS: Final = WorkAround(
    name="spans of one engine",
    distribution="opentelemetry-instrumentation-sqlalchemy",
    reason="The instrumentor 0.66b1 patches SQLAlchemy for the whole process and puts the database into the operation.",
    instead="SQLAlchemyInstrumentor() traces the engines, and each connect() as well",
    works=_names_spans,
)
