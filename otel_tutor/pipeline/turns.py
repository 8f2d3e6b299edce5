"""Work of exporting threads in short turns, so that a request never waits long for the interpreter."""

import time
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

__all__ = ["in_turns"]

Item = TypeVar("Item")

# Python takes the interpreter from a busy thread after 5 ms only (sys.setswitchinterval), and a request releases it several
# times, e.g. at each read of a socket. So a thread that works on for long adds 5 ms to each of them.
_TURN: Final = 0.000_2  # seconds of work: a fifth of what the fastest requests take
_PAUSE: Final = 0.000_02  # seconds; a pause of 0 ends before a thread that waits has woken up


def in_turns(items: Iterable[Item]) -> Iterator[Item]:
    """The items, with a pause for other threads after each turn of work on them."""
    end = time.perf_counter() + _TURN
    for item in items:
        yield item
        if time.perf_counter() > end:
            time.sleep(_PAUSE)
            end = time.perf_counter() + _TURN
