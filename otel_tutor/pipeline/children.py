"""Children of multiprocessing, which end without running what `atexit` has: they send what is left before they do.

A forked child is as its parent was configured. A spawned one is a new Python: it is configured if what it imports calls
`configure()`. Both end after the finalizers of `multiprocessing.util`.

`terminate()`, of a process or at the end of `with Pool(...)`, is SIGTERM, and what was not sent by then is lost: `close()`
and `join()` a pool to have all of it. No handler is set for it. Python runs one only when the main thread returns to it, so
that a child in native code, whose time is up, would not end.
"""

import multiprocessing
from collections.abc import Callable
from multiprocessing import util
from typing import Final

__all__ = ["shut_down_in_children"]

_LAST: Final = -100  # after the app's own finalizers, whose work may be recorded; multiprocessing's go down to -5


def shut_down_in_children(shut_down: Callable[[], None]) -> None:
    """Have each child of multiprocessing call `shut_down` at its end, this process included if it is one.

    A spawned child that is configured while it imports its program runs what `atexit` has, as any Python does.
    """
    util.register_after_fork(shut_down, _finalize)
    if multiprocessing.parent_process() is not None:
        _finalize(shut_down)


def _finalize(shut_down: Callable[[], None]) -> None:
    util.Finalize(None, shut_down, exitpriority=_LAST)
