"""What a call to a model is made for: the subject of the question and the route of the request that it is made in."""

from collections.abc import Callable
from typing import Final

from opentelemetry import context, trace
from opentelemetry.context import Context

from otel_tutor.recording.guard import attempt

__all__ = ["CONVERSATION", "ENDPOINT", "NONE", "SPAN", "SUBJECT", "endpoint_of", "subject_of"]

# Keys of the context. Their values are called when a call ends: a subject may be decided and a route found meanwhile.
SUBJECT: Final = "otel_tutor.subject"
ENDPOINT: Final = "otel_tutor.endpoint"
CONVERSATION: Final = "gen_ai.conversation.id"  # an attribute too; its value is text or None
SPAN: Final = next(iter(trace.set_span_in_context(trace.INVALID_SPAN, Context())))  # the API's own, of the current span
NONE: Final = "none"  # outside of a question, outside of a request


def subject_of(inside: Context | None = None) -> object:
    """The subject of the question."""
    return _read(SUBJECT, inside)


def endpoint_of(inside: Context | None = None) -> object:
    """The template of the request's route."""
    return _read(ENDPOINT, inside)


def _read(key: str, inside: Context | None) -> object:
    read: Callable[[], object] | None = context.get_value(key, inside)  # type: ignore[assignment]  # set by us
    return NONE if read is None else attempt(read) or NONE
