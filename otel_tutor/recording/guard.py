"""The boundary between telemetry and the app: a measurement may be lost, a request may not."""

import functools
import logging
import threading
import time
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

__all__ = ["OncePerMinute", "attempt", "harmless", "report"]

P = ParamSpec("P")
T = TypeVar("T")

_log: Final = logging.getLogger("otel_tutor")


class OncePerMinute:
    """True at the first call and then at most once every 60 seconds. It never waits: of two threads, one is told no."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next = float("-inf")
        self._lock = threading.Lock()

    def __call__(self) -> bool:
        """Whether it is time again."""
        now = self._clock()
        if now < self._next or not self._lock.acquire(blocking=False):
            return False
        try:
            self._next = now + 60
            return True
        finally:
            self._lock.release()


_may_log: Final = OncePerMinute()


def report(error: Exception) -> None:
    """Log what telemetry failed at, one line a minute at most."""
    if _may_log():
        _log.warning("nothing was recorded: %s: %s", type(error).__name__, error)


def attempt(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """What `function` returns, or None when it fails; the failure is logged instead of raised."""
    try:
        return function(*args, **kwargs)
    except Exception as error:
        report(error)
        return None


def harmless(function: Callable[P, None]) -> Callable[P, None]:
    """Keep a recording call's failures from its caller; they are logged instead."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except Exception as error:
            report(error)

    return call
