"""What may happen at most once a minute."""

import threading
import time
from collections.abc import Callable
from typing import Final

__all__ = ["RateLimit"]

_SECONDS: Final = 60  # often enough to be noticed, seldom enough for a log that is read by people


class RateLimit:
    """True at the first call and then at most once a minute. It never waits: of two threads, one gets False."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next = float("-inf")
        self._lock = threading.Lock()

    def __call__(self) -> bool:
        """Whether it may happen now."""
        now = self._clock()
        if now < self._next or not self._lock.acquire(blocking=False):
            return False
        try:
            if now < self._next:  # another thread was here since the look above
                return False
            self._next = now + _SECONDS
            return True
        finally:
            self._lock.release()
