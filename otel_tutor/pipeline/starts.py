"""When each series began, as receivers are told: with the first of its points that one of them took.

A process may take over the instance of one that has ended. Until it sends its first points, the last ones of its
predecessor stand at the receiver, and Prometheus goes on reading them. A start before that would be older than what it has
read: it could not put the zero there that makes the reset visible, and a counter that began again would look as if it had
gone on.
"""

import os
from typing import Any, Final

__all__ = ["Starts"]

_BEFORE: Final = 1_000_000  # nanoseconds that a start is before its first point: a start at the same time means "unknown"


class Starts:
    """The start of each series by its name and attributes."""

    def __init__(self) -> None:
        self._known: dict[int, int] = {}
        self._offered: dict[int, int] = {}
        self._process = os.getpid()

    def offer(self) -> None:
        """Begin with other points; those before may not have been taken."""
        self._offered.clear()
        if os.getpid() != self._process:  # a forked child counts from zero under another name
            self._process = os.getpid()
            self._known.clear()

    def taken(self) -> None:
        """The receiver has the points that were offered."""
        self._known |= self._offered
        self._offered.clear()

    def of(self, scope: str, name: str, point: Any) -> int:
        """The start of the series of this point."""
        try:
            series = hash((scope, name, frozenset(point.attributes.items())))
        except TypeError:  # a value that is a list, of a metric that was not made by the SDK
            return int(point.start_time_unix_nano)
        known = self._known.get(series)
        if known is None:
            known = self._offered[series] = point.time_unix_nano - _BEFORE
        return known
