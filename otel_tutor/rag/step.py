"""What every step of a question has in common: a `with` block around an operation."""

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from opentelemetry.trace import Span

from otel_tutor.recording.guard import attempt
from otel_tutor.recording.operation import Operation
from otel_tutor.recording.values import to_count

__all__ = ["Step", "set_count"]


class Step:
    """A `with` block around an operation that begins when it is entered."""

    _operation: Operation
    _entered: list[AbstractContextManager[None]]

    def _begin(self) -> Operation:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._operation = self._begin()
        self._entered = []
        self._enter(self._operation.active())
        return self

    def _enter(self, active: AbstractContextManager[None]) -> None:
        active.__enter__()
        self._entered.append(active)

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        while self._entered:
            self._entered.pop().__exit__(None, None, None)
        self._leave(error)

    def _leave(self, error: BaseException | None) -> None:
        self._operation.end(error)


def set_count(span: Span, key: str, number: object) -> None:
    """Set an attribute that counts something, as it is measured; without a number, none."""
    if (count := to_count(number)) is not None:
        attempt(span.set_attribute, key, count)
