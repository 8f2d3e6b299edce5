"""Work of exporting threads in short turns, so that a request never waits long for the interpreter."""

import threading
import time
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

__all__ = ["give_way", "in_turns"]

Item = TypeVar("Item")

# Python takes the interpreter from a busy thread after 5 ms only (sys.setswitchinterval), and a request releases it several
# times, e.g. at each read of a socket. So a thread that works on for long adds 5 ms to each of them.
_TURN: Final = 0.000_2  # seconds of work: a fifth of what the fastest requests take
_PAUSE: Final = 0.000_02  # seconds; a pause of 0 ends before a thread that waits has woken up


class _Turn(threading.local):
    end = 0.0


_turn: Final = _Turn()


def give_way() -> None:
    """Pause for other threads if this one's turn is over; call it every few microseconds of work."""
    if time.perf_counter() > _turn.end:
        time.sleep(_PAUSE)
        _turn.end = time.perf_counter() + _TURN


def in_turns(items: Iterable[Item]) -> Iterator[Item]:
    """The items, with a pause for other threads after each turn of work on them."""
    for item in items:
        yield item
        give_way()
