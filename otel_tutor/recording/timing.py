"""Decorators that measure how long an app's own functions take."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, TypeVar

from otel_tutor.catalogue import INSTRUMENT, Instrument, Kind
from otel_tutor.recording import clock
from otel_tutor.recording.attributes import to_attributes
from otel_tutor.recording.decoration import instrument, name_of
from otel_tutor.recording.guard import attempt
from otel_tutor.recording.instruments import Labels, record
from otel_tutor.recording.state import state
from otel_tutor.recording.values import to_name

__all__ = ["track_async_time", "track_time"]

F = TypeVar("F", bound=Callable[..., Any])

_INVALID: Final = re.compile(r"[^a-zA-Z0-9_./-]")  # in the name of an instrument
_MOST_NAMES: Final = 1000  # of one process; each is an instrument, which is never given back
_OTHERS: Final = "other_functions"
_LONGEST: Final = 200  # characters; with the suffix, the SDK takes 255


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

    Every kind of callable, as `otel_tutor.tracing.trace_function`; a generator is timed from its first step to its end. What
    the name of an instrument cannot have becomes an underscore. `@track_time` alone takes the function's own name. A process
    may use 1,000 names; functions of further ones are measured together, in `other_functions_duration_seconds`.
    """
    if callable(name):
        return track_time(to_name(attempt(name_of, name)))(name)
    valid_name = _INVALID.sub("_", to_name(name))[:_LONGEST]
    if not valid_name[0].isalpha():
        valid_name = f"function_{valid_name}"
    row = Instrument(f"{_limited(valid_name)}.duration", Kind.HISTOGRAM, "s", (), f"Time {valid_name} took.")
    fixed = {key: value if isinstance(value, (bool, int)) else str(value) for key, value in to_attributes(labels).items()}
    return lambda function: instrument(function, lambda: _Timer(row, fixed))


def _limited(name: str) -> str:
    """The name, or another one for all that come after so many: a name that is made of a student's words has no end."""
    if name not in state.timers and len(state.timers) >= _MOST_NAMES:
        state.overflow[INSTRUMENT.key] += 1
        return _OTHERS
    state.timers.add(name)
    return name


def track_async_time(name: str, labels: Labels | None = None) -> Callable[[F], F]:
    """The same for coroutine functions and async generators, awaits included."""
    return track_time(name, labels)
