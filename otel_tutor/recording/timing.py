"""Decorators that measure how long an app's own functions take."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from otel_tutor.catalogue import Instrument, Kind
from otel_tutor.recording import clock
from otel_tutor.recording.decoration import instrument
from otel_tutor.recording.instruments import Labels, record, valid_utf8

__all__ = ["track_async_time", "track_time"]

F = TypeVar("F", bound=Callable[..., Any])


class _Timer:
    """One call that is timed."""

    __slots__ = ("_labels", "_row", "_started")

    def __init__(self, row: Instrument, labels: Labels) -> None:
        self._row: Instrument | None = row
        self._labels = labels
        self._started = clock.now()

    def active(self) -> AbstractContextManager[None]:
        """Nothing to do around its code."""
        return nullcontext()

    def end(self, error: BaseException | None = None) -> None:  # noqa: ARG002 - a failure takes its time as well
        """Record how long it took, once."""
        row, self._row = self._row, None
        if row is not None:
            record(row, clock.now() - self._started, self._labels)


def track_time(name: str, labels: Labels | None = None) -> Callable[[F], F]:
    """Measure how long each call of a function takes, in a histogram `<name>_duration_seconds` with these labels.

    Functions, methods, generators and their async kinds alike; a generator is timed from its first step to its end.
    """
    row = Instrument(f"{name}.duration", Kind.HISTOGRAM, "s", (), f"Time {name} took.")
    fixed = {key: valid_utf8(value) if isinstance(value, str) else value for key, value in (labels or {}).items()}
    return lambda function: instrument(function, lambda: _Timer(row, fixed))


def track_async_time(name: str, labels: Labels | None = None) -> Callable[[F], F]:
    """The same for coroutine functions and async generators, awaits included."""
    return track_time(name, labels)
