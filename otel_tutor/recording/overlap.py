"""The time that steps of one kind took together: steps that run side by side take it once."""

import threading

from otel_tutor.recording import clock
from otel_tutor.recording.instruments import SUCCESS

__all__ = ["Overlap"]


class Overlap:
    """How long at least one step ran. Steps may begin and end in any order, task and thread."""

    __slots__ = ("_all_succeeded", "_began", "_lock", "_running", "_seconds")

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a stream that is left may end in a finaliser, at any point of this thread
        self._running = 0
        self._began = 0.0  # since when at least one has been running
        self._seconds: float | None = None  # None before the first
        self._all_succeeded = True

    def begin(self) -> None:
        """A step begins."""
        with self._lock:
            if not self._running:
                self._began = clock.now()
            self._running += 1
            self._seconds = self._seconds or 0.0

    def end(self, outcome: str) -> None:
        """A step ends."""
        with self._lock:
            self._running -= 1
            self._all_succeeded = self._all_succeeded and outcome == SUCCESS
            if not self._running:
                self._seconds = (self._seconds or 0.0) + clock.now() - self._began

    def seconds(self) -> float | None:
        """The time until now, or None if there was no step."""
        with self._lock:
            if self._seconds is None or not self._running:
                return self._seconds
            return self._seconds + clock.now() - self._began

    def latency(self, outcome: str) -> float | None:
        """The time as a latency, or None where it is none: it has to be that of steps that were done.

        outcome: of what the steps are part of. If that succeeded, a step that failed was made good by another one.
        """
        return self.seconds() if outcome == SUCCESS or (self._all_succeeded and not self._running) else None
