"""How late an event loop runs its callbacks: what every request waits for while one of them blocks."""

import asyncio
from typing import Final

from otel_tutor import catalogue
from otel_tutor.recording.guard import never_raise
from otel_tutor.recording.instruments import record
from otel_tutor.recording.state import state

__all__ = ["watch_event_loop"]

_SECONDS: Final = 0.5  # between two looks: a stall of half a second is seen whenever it happens, at two records a second


@never_raise
def watch_event_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Measure an event loop from now on, once for each. Call it inside the loop."""
    if loop not in state.loops:
        state.loops.add(loop)
        _look_again(loop)


def _look_again(loop: asyncio.AbstractEventLoop) -> None:
    # A timer, not a task: it keeps no loop alive and need not be cancelled.
    due = loop.time() + _SECONDS
    loop.call_at(due, _look, loop, due)


def _look(loop: asyncio.AbstractEventLoop, due: float) -> None:
    record(catalogue.LOOP_LAG, max(0.0, loop.time() - due), {})
    _look_again(loop)
