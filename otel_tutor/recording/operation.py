"""One operation in progress: its span, its clock, and one end, however it ends.

An operation is attached to the context only while its own code runs. So it may stay open across the yields of a generator,
whose caller meanwhile continues in another context, perhaps in another task or never.
"""

import functools
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from contextvars import Token
from types import TracebackType
from typing import Any, Final, TypeVar

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind

from otel_tutor.recording import clock
from otel_tutor.recording.attributes import Attributes, to_attributes
from otel_tutor.recording.decoration import instrument
from otel_tutor.recording.guard import attempt, log_internal_error
from otel_tutor.recording.instruments import SUCCESS
from otel_tutor.recording.outcome import CANCELLED, ERROR, outcome_of, record_failure
from otel_tutor.recording.state import state
from otel_tutor.recording.values import to_name

__all__ = [
    "GENERATION",
    "MODEL",
    "QUESTION",
    "RETRIEVAL",
    "Attached",
    "Attributes",
    "Block",
    "Operation",
    "conclude",
    "current_operation",
    "tracer",
    "was_cancelled",
]

# Roles of the operations that `otel_tutor.rag` runs.
QUESTION: Final = "otel_tutor.question"
RETRIEVAL: Final = "otel_tutor.retrieval"
GENERATION: Final = "otel_tutor.generation"
MODEL: Final = "otel_tutor.model"

F = TypeVar("F", bound=Callable[..., Any])
OnEnd = Callable[[float, BaseException | None], None]


@functools.cache
def tracer() -> trace.Tracer:
    """The tracer of everything that is traced here. Until `configure()`, which clears this cache, it traces nothing."""
    own: trace.Tracer | None = state.tracer
    return own or trace.get_tracer("otel_tutor", tracer_provider=state.tracer_provider)


class Operation:
    """A span that has begun, and how long ago.

    name, attributes: whatever callers pass; what cannot be sent is left out.
    role: under which `current_operation()` finds it from inside.
    on_end: called once, in the operation's context, with its seconds and what ended it; its failures are logged.
    kind: of the span.
    values: what its context has beside them, by key.
    """

    __slots__ = ("_context", "_ended", "_on_end", "_started", "calls_without_tokens", "outcome", "recorded_by_app", "span")

    def __init__(
        self,
        name: object,
        attributes: object,
        *,
        role: str | None = None,
        on_end: OnEnd | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        values: Mapping[str, object] | None = None,
    ) -> None:
        self.span: Final[Span] = attempt(_start_span, name, attributes, kind) or trace.INVALID_SPAN
        inside = trace.set_span_in_context(self.span)
        if values:
            inside = Context({**inside, **values})
        self._context: Context = context.set_value(role, self, inside) if role else inside
        self._on_end = on_end
        self._ended = False
        self.outcome = SUCCESS  # once it has ended: "success", "cancelled" or "error"
        self.calls_without_tokens: Final[list[tuple[str, Any]]] = []  # that libraries counted: model and who serves it
        self.recorded_by_app: Final[set[str]] = set()  # what need not be recorded again when it ends
        self._started = clock.now()

    def leave_to_library(self) -> None:
        """Note that an instrumented library traces and counts this call to a model."""
        self.recorded_by_app.update(("inference", "call"))

    def take_back(self) -> None:
        """Note that no library traces and counts this call."""
        self.recorded_by_app.difference_update(("inference", "call"))

    @property
    def has_ended(self) -> bool:
        """Whether it has."""
        return self._ended

    def active(self) -> AbstractContextManager[None]:
        """The operation as the current one, for as long as its own code runs."""
        return Attached(self._context)

    def elapsed(self) -> float:
        """Seconds since it began."""
        return clock.now() - self._started

    def end(self, error: BaseException | None = None) -> None:
        """End the span, as failed if an error ended the operation. Calling it again has no effect."""
        if self._ended:
            return
        self._ended = True
        try:
            elapsed = self.elapsed()
            self.outcome = outcome_of(error)
            if error is not None and self.outcome == ERROR:
                attempt(record_failure, self.span, error)
            if self._on_end is not None:
                with self.active():  # what is recorded points to this trace
                    attempt(self._on_end, elapsed, error)
        except BaseException as failed:  # the stack is full, for example: the app must get its own exception
            log_internal_error(failed)
        finally:
            attempt(self.span.end)


class Attached(AbstractContextManager[None]):
    """A context that is attached for the time of a block, whichever context the block is left in."""

    __slots__ = ("_inside", "_token")
    _token: Token[Context]

    def __init__(self, inside: Context) -> None:
        self._inside = inside

    def __enter__(self) -> None:
        self._token = context.attach(self._inside)

    def __exit__(self, *_: object) -> None:
        """Go back to what was current before.

        A sync dependency of FastAPI is entered in one thread and left in another, and an async generator may be closed by
        another task: each has its own context. The token cannot be used there, and `context.detach()` would log that.
        """
        try:
            self._token.var.reset(self._token)
        except ValueError:
            if context.get_current() is self._inside:  # in a copy of the block's context, as tasks and threads have it
                before = self._token.old_value
                context.attach(Context() if before is Token.MISSING else before)


def _start_span(name: object, attributes: object, kind: SpanKind) -> Span:
    return tracer().start_span(to_name(name), kind=kind, attributes=to_attributes(attributes))


def conclude(span: Span, name: str | None, attributes: dict[str, Any]) -> None:
    """Give a span its last name, if it gets another, and add attributes of plain types."""
    at_once = getattr(span, "conclude", None)  # which light spans have
    if at_once is not None:
        at_once(name, attributes)
        return
    span.set_attributes(attributes)
    if name:
        span.update_name(name)


def was_cancelled(error: BaseException | None) -> bool:
    """Whether an operation ended without a result although nothing failed: see `outcome_of`."""
    return outcome_of(error) == CANCELLED


class Block(AbstractContextManager[Span]):
    """An operation around a block of code, which gets its span; or, as a decorator, around each call of a function."""

    __slots__ = ("_attributes", "_entered", "_name", "_values")

    def __init__(self, name: object, attributes: object, values: Mapping[str, object] | None = None) -> None:
        self._name = name
        self._attributes = attributes
        self._values = values
        self._entered: list[tuple[Operation, AbstractContextManager[None]]] = []

    def __enter__(self) -> Span:
        try:
            block = self._begin()
            active = block.active()
            active.__enter__()
        except BaseException as error:
            log_internal_error(error)
            return trace.INVALID_SPAN
        self._entered.append((block, active))
        return block.span

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        if not self._entered:
            return
        block, active = self._entered.pop()
        active.__exit__(None, None, None)
        block.end(error)

    def __call__(self, function: F) -> F:
        """`function` with each call as such an operation."""
        return instrument(function, self._begin)

    def _begin(self) -> Operation:
        return Operation(self._name, self._attributes, values=self._values)


def current_operation(role: str) -> Operation | None:
    """The operation of that role that the caller is inside, if there is one."""
    current = context.get_value(role)
    return current if isinstance(current, Operation) else None
