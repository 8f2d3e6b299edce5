"""Decorators that measure how long an app's own functions take."""

import functools
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, ParamSpec, TypeVar

from otel_tutor.catalogue import Kind, Row
from otel_tutor.guard import harmless
from otel_tutor.instruments import Labels, record

__all__ = ["track_async_time", "track_time"]

P = ParamSpec("P")
R = TypeVar("R")

_observe: Final = harmless(record)


def _timer(name: str) -> Row:
    return Row(f"{name}.duration", Kind.HISTOGRAM, "s", (), f"Time {name} took.")


def track_time(name: str, labels: Labels | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Measure how long a function takes, in a histogram `<name>_duration_seconds` with these labels."""
    row, fixed = _timer(name), dict(labels or {})

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                _observe(row, time.perf_counter() - start, fixed)

        return call

    return decorate


def track_async_time(
    name: str, labels: Labels | None = None
) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], Callable[P, Coroutine[Any, Any, R]]]:
    """Measure how long a coroutine function takes, awaits included; otherwise as `track_time`."""
    row, fixed = _timer(name), dict(labels or {})

    def decorate(function: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
        @functools.wraps(function)
        async def call(*args: P.args, **kwargs: P.kwargs) -> R:
            start = time.perf_counter()
            try:
                return await function(*args, **kwargs)
            finally:
                _observe(row, time.perf_counter() - start, fixed)

        return call

    return decorate
