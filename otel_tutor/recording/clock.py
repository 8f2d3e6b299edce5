"""The clock that durations are read from; tests may stop it."""

import time
from collections.abc import Callable

from otel_tutor.recording.state import state

__all__ = ["now", "replace"]


def now() -> float:
    """Seconds from an arbitrary moment on, never backwards."""
    return state.read_time()


def replace(read: Callable[[], float] | None) -> None:
    """Replace the clock, that of spans included; with None, by the machine's own again. For tests."""
    state.read_time = read or time.perf_counter
    state.read_time_ns = time.time_ns if read is None else lambda: int(read() * 1e9)
