"""Processes that end by `os._exit`, which skips what `atexit` has: they send what is left before they do.

It is how forked children end: those of multiprocessing and of its relatives, such as the pools of Celery and the jobs of
RQ. A forked child is as its parent was configured. A spawned one is a new Python: it is configured if what it imports calls
`configure()`, and what `atexit` has is run at its end.

`terminate()`, of a process or at the end of `with Pool(...)`, is SIGTERM, and what was not sent by then is lost: `close()`
and `join()` a pool to have all of it. No handler is set for it. Python runs one only when the main thread returns to it, so
that a child in native code, whose time is up, would not end.
"""

import os
import signal
import threading
from collections.abc import Callable
from typing import NoReturn

__all__ = ["shut_down_before_exit"]


def shut_down_before_exit(shut_down: Callable[[], None]) -> None:
    """Have this process, and all that are forked from it, call `shut_down` at `os._exit`."""
    exit_now = os._exit

    def shut_down_and_exit(status: int) -> NoReturn:
        try:
            _ignore_termination()
            shut_down()
        finally:  # even if a signal interrupts it
            exit_now(status)

    os._exit = shut_down_and_exit


def _ignore_termination() -> None:
    """Have a pool that terminates its last children not cut off one that is about to end: it takes seconds at most."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
