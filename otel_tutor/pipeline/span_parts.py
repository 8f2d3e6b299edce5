"""What a light span is made of."""

from collections import deque
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from otel_tutor.recording.state import state

__all__ = ["PLAIN", "Latest", "is_plain", "valid_time"]

Item = TypeVar("Item")

PLAIN: Final = frozenset({str, int, float, bool})  # what needs no check
_KEYS: Final = frozenset({str})
_AFTER_LAST: Final = 2**64  # of OTLP's times


class Latest(deque[Item]):
    """So many of the latest items. It takes no lock, which a signal handler might wait for."""

    dropped = 0

    def append(self, item: Item) -> None:
        """Add an item, in the place of the first if there are as many as there may be."""
        self.dropped += len(self) == self.maxlen
        super().append(item)


def is_plain(attributes: Mapping[str, Any]) -> bool:
    """Whether all of them can be exported as they are."""
    return (
        PLAIN.issuperset(map(type, attributes.values())) and _KEYS.issuperset(map(type, attributes)) and "" not in attributes
    )


def valid_time(given: object) -> int:
    """A time in nanoseconds since 1970; now, for what is none."""
    return given if type(given) is int and 0 < given < _AFTER_LAST else state.read_time_ns()
