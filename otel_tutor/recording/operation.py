"""One operation in progress: its span, its clock, and one end, however it ends.

An operation is attached to the context only while its own code runs. So it may stay open across the yields of a generator,
whose caller meanwhile continues in another context, perhaps in another task or never.
"""

import asyncio
import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, StatusCode
from opentelemetry.util.types import AttributeValue

from otel_tutor.recording import clock
from otel_tutor.recording.guard import attempt
from otel_tutor.recording.instruments import valid_utf8

__all__ = ["Attributes", "Operation", "current_operation", "operation", "tracer", "was_cancelled"]

Attributes = Mapping[str, AttributeValue]
OnEnd = Callable[[float, BaseException | None], None]

# Not failures: the client has gone, or wants no more.
_CANCELLED: Final = (GeneratorExit, asyncio.CancelledError)


@functools.cache
def tracer() -> trace.Tracer:
    """The tracer of everything that is traced here. Taken before `configure()`, it traces nothing until then."""
    return trace.get_tracer("otel_tutor")


class Operation:
    """A span that has begun, and how long ago.

    role: under which `current_operation()` finds it from inside.
    on_end: called once, in the operation's context, with its seconds and what ended it; its failures are logged.
    """

    __slots__ = ("_context", "_ended", "_on_end", "_started", "recorded_by_app", "span")

    def __init__(self, name: str, attributes: Attributes, *, role: str | None = None, on_end: OnEnd | None = None) -> None:
        self.span: Final[Span] = attempt(_start_span, name, attributes) or trace.INVALID_SPAN
        inside = trace.set_span_in_context(self.span)
        self._context: Context = context.set_value(role, self, inside) if role else inside
        self._on_end = on_end
        self._ended = False
        self.recorded_by_app: Final[set[str]] = set()  # what need not be recorded again when it ends
        self._started = clock.now()

    @contextmanager
    def active(self) -> Iterator[None]:
        """The operation as the current one, for as long as its own code runs."""
        token = context.attach(self._context)
        try:
            yield
        finally:
            context.detach(token)

    def elapsed(self) -> float:
        """Seconds since it began."""
        return clock.now() - self._started

    def end(self, error: BaseException | None = None) -> None:
        """End the span, as failed if an error ended the operation. Calling it again has no effect."""
        if self._ended:
            return
        self._ended = True
        elapsed = self.elapsed()
        try:
            if error is not None and not was_cancelled(error):
                attempt(_record_failure, self.span, error)
            if self._on_end is not None:
                with self.active():  # what is recorded points to this trace
                    attempt(self._on_end, elapsed, error)
        finally:
            attempt(self.span.end)


def _start_span(name: str, attributes: Attributes) -> Span:
    valid = {key: valid_utf8(value) if isinstance(value, str) else value for key, value in attributes.items()}
    return tracer().start_span(valid_utf8(name), attributes=valid)


def _record_failure(span: Span, error: BaseException) -> None:
    span.set_status(StatusCode.ERROR, type(error).__name__)
    span.record_exception(error)
    span.set_status(StatusCode.ERROR, f"{type(error).__name__}: {error}")  # now that its text is known to be readable


def was_cancelled(error: BaseException | None) -> bool:
    """Whether an operation ended because its result was no longer wanted."""
    return isinstance(error, _CANCELLED)


@contextmanager
def operation(name: str, attributes: Attributes) -> Iterator[Span]:
    """An operation around a block of code."""
    block = Operation(name, attributes)
    try:
        with block.active():
            yield block.span
    except BaseException as error:
        block.end(error)
        raise
    block.end()


def current_operation(role: str) -> Operation | None:
    """The operation of that role that the caller is inside, if there is one."""
    current = context.get_value(role)
    return current if isinstance(current, Operation) else None
