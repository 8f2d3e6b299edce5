"""Recording that takes locks, and what interrupts it.

A signal handler may record at any point of the thread that it interrupts, and so may a finaliser that the garbage collector
runs. Where that thread holds a lock which the recording takes, it would wait for itself for ever: the SDK's locks are not
re-entrant. So whatever takes one is done `apart`: what interrupts it is put off until it is done.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from otel_tutor.recording.guard import attempt
from otel_tutor.recording.state import state

__all__ = ["apart", "catch_up", "held"]

_MOST: Final = 10_000  # calls that wait at most; of more, the first are lost

_waiting: Final[deque[tuple[int, Callable[[], object]]]] = deque(maxlen=_MOST)  # with the process that they are of


def apart(act: Callable[[], object]) -> None:
    """Call `act`, which may take locks: now, or later where this thread may hold one of them.

    A child that has just been forked may have locks that threads of its parent held, until its own are made. After
    `shutdown()`, nothing is recorded: a thread that Python has stopped at its end may hold a lock for ever.
    """
    me = threading.get_ident()
    if me in state.inside or os.getpid() != state.process:
        _waiting.append((os.getpid(), act))
        return
    if state.has_ended:
        return
    with held():
        act()
    if _waiting:
        catch_up()


@contextmanager
def held() -> Iterator[None]:
    """Whatever this thread is to do apart waits while the block runs."""
    me = threading.get_ident()
    state.inside.add(me)
    try:
        yield
    finally:
        state.inside.discard(me)


def catch_up() -> None:
    """Make the calls that wait; nothing where this thread may hold a lock itself."""
    if threading.get_ident() in state.inside:
        return
    while _waiting:
        try:
            process, act = _waiting.popleft()
        except IndexError:  # another thread took the last
            return
        if process == os.getpid():  # not a call that the parent of this process put off
            with held():
                attempt(act)
