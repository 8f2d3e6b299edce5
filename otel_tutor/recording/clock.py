"""The clock that durations are read from; tests may stop it."""

import time
from collections.abc import Callable

__all__ = ["now", "replace"]

_read: Callable[[], float] = time.perf_counter


def now() -> float:
    """Seconds from an arbitrary moment on, never backwards."""
    return _read()


def replace(read: Callable[[], float] | None) -> None:
    """Read the time from elsewhere from now on; without argument, from the machine again. For tests."""
    global _read  # noqa: PLW0603 - one clock a process, and a call of it costs nothing
    _read = read or time.perf_counter
