"""Requests that are encoded in parts, joined to one that has each resource, scope and metric once."""

from collections.abc import Callable, Sequence
from typing import Any, Final

__all__ = ["join_logs", "join_metrics", "join_spans"]

# For each level of a request: what its messages must have in common to be one, and the list that they have below.
Level = tuple[Callable[[Any], object], Callable[[Any], Any]]


def join_logs(request: Any, part: Any) -> None:
    """Add a part to a request for log records; the part is used up."""
    _join(request.resource_logs, part.resource_logs, _LOGS)


def join_metrics(request: Any, part: Any) -> None:
    """Add a part to a request for data points; the part is used up."""
    _join(request.resource_metrics, part.resource_metrics, _METRICS)


def join_spans(request: Any, part: Any) -> None:
    """Add a part to a request for spans; the part is used up."""
    _join(request.resource_spans, part.resource_spans, _SPANS)


def _join(messages: Any, more: Any, levels: Sequence[Level]) -> None:
    """Add messages to others in the same order: where one list ends as the other begins, that is one message."""
    if levels and messages and more:
        (head, below), *deeper = levels
        if head(messages[-1]) == head(more[0]):
            _join(below(messages[-1]), below(more[0]), deeper)
            del more[0]
    messages.extend(more)


def _resource(message: Any) -> object:
    return message.resource, message.schema_url


def _scope(message: Any) -> object:
    return message.scope, message.schema_url


def _metric(message: Any) -> object:
    return message.name, message.unit, message.description, message.WhichOneof("data")


def _points(message: Any) -> Any:
    return getattr(message, message.WhichOneof("data")).data_points


_LOGS: Final[Sequence[Level]] = (
    (_resource, lambda message: message.scope_logs),
    (_scope, lambda message: message.log_records),
)
_SPANS: Final[Sequence[Level]] = (
    (_resource, lambda message: message.scope_spans),
    (_scope, lambda message: message.spans),
)
_METRICS: Final[Sequence[Level]] = (
    (_resource, lambda message: message.scope_metrics),
    (_scope, lambda message: message.metrics),
    (_metric, _points),
)
