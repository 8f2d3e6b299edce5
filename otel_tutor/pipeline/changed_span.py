"""A span that has ended, with some other values."""

from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.sdk.trace import ReadableSpan

__all__ = ["changed"]

_PARTS_OF_A_SPAN: Final = (
    "name",
    "context",
    "parent",
    "resource",
    "attributes",
    "events",
    "links",
    "kind",
    "status",
    "start_time",
    "end_time",
    "instrumentation_scope",
)


def changed(span: ReadableSpan, **values: Any) -> ReadableSpan:
    """The span with these values instead of its own, by the names of the parameters of `ReadableSpan`."""
    return _ChangedSpan(span, values)


class _ChangedSpan(ReadableSpan):
    """A span with other values, which still knows what its limits dropped."""

    def __init__(self, span: ReadableSpan, values: Mapping[str, Any]):
        own = {name: getattr(span, name) for name in _PARTS_OF_A_SPAN}
        super().__init__(**{**own, **values})
        self._dropped = span.dropped_attributes, span.dropped_events, span.dropped_links

    @property
    def dropped_attributes(self) -> int:
        """As of the span it was made from."""
        return self._dropped[0]

    @property
    def dropped_events(self) -> int:
        """As of the span it was made from."""
        return self._dropped[1]

    @property
    def dropped_links(self) -> int:
        """As of the span it was made from."""
        return self._dropped[2]
