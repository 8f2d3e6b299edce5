"""How an operation ended, in the three words that rules understand, and how its span says so.

A failure is what the service is to blame for. What clients do is none: they go away, or ask for what they do not get.
"""

import asyncio
import sys
import traceback
from collections.abc import Mapping
from typing import Final

from opentelemetry.trace import Span, StatusCode

from otel_tutor.recording import deadline
from otel_tutor.recording.guard import attempt
from otel_tutor.recording.instruments import SUCCESS
from otel_tutor.recording.values import to_number, to_text, valid_utf8

__all__ = ["CANCELLED", "ERROR", "described", "outcome_of", "record_exception", "record_failure", "stack_trace"]

CANCELLED: Final = "cancelled"
ERROR: Final = "error"

# Exceptions by the name of their class or one of its bases, so that a framework need not be installed, nor be Starlette.
# A status code alone does not do: clients of models and of vector stores raise errors with the codes that they received,
# and a model that answers 429 is a failure of the service that asked it.
_ANSWER: Final = "HTTPException"
_ERROR_TYPE: Final = "error.type"
_CLOSING: Final = "WebSocketException"
_GONE: Final = frozenset({"ClientDisconnect", "ClientDisconnected", "WebSocketDisconnect"})
_SERVER_ERROR: Final = 500
_SERVER_CLOSES: Final = 1011  # from here on a close code of a WebSocket blames the server


def outcome_of(error: BaseException | None) -> str:
    """How an operation ended that `error` came out of: "success" for None, "cancelled", or "error".

    Cancelled is what has no result although nothing failed: the client went away, a generator was left, the interpreter ends
    with success, or a client was refused with an HTTPException below 500. A deadline that passed is an error.
    """
    if error is None:
        return SUCCESS
    return CANCELLED if attempt(_is_no_failure, error) else ERROR


def _is_no_failure(error: BaseException) -> bool:
    kind = type(error)
    if issubclass(kind, BaseExceptionGroup):
        return all(outcome_of(part) == CANCELLED for part in getattr(error, "exceptions", ()))
    if issubclass(kind, asyncio.CancelledError) or _is_cancelled_by_trio(kind):
        return not deadline.passed(error)
    if issubclass(kind, SystemExit):
        code = getattr(error, "code", None)
        return code is None or (isinstance(code, int) and not code)
    return issubclass(kind, GeneratorExit) or _is_of_the_client(error)


def _is_cancelled_by_trio(kind: type[BaseException]) -> bool:
    trio = sys.modules.get("trio")
    return trio is not None and issubclass(kind, trio.Cancelled)


def _is_of_the_client(error: BaseException) -> bool:
    names = {base.__name__ for base in type(error).__mro__}
    if _ANSWER in names:
        return (to_number(getattr(error, "status_code", None)) or _SERVER_ERROR) < _SERVER_ERROR
    if _CLOSING in names:
        return (to_number(getattr(error, "code", None)) or _SERVER_CLOSES) < _SERVER_CLOSES
    return bool(names & _GONE)


def record_failure(span: Span, error: BaseException) -> None:
    """Mark a span as failed by `error`: its status, `error.type` and an exception event, as far as the error can be read."""
    name = type(error).__name__
    span.set_status(StatusCode.ERROR, name)
    if _ERROR_TYPE not in (getattr(span, "attributes", None) or {}):
        attempt(span.set_attribute, _ERROR_TYPE, _name_of(type(error)))
    attempt(record_exception, span, error)
    text = "a deadline passed" if issubclass(type(error), asyncio.CancelledError) else to_text(error)
    span.set_status(StatusCode.ERROR, f"{name}: {text}" if text else name)


def record_exception(span: Span, error: BaseException) -> None:
    """Add the exception event of the semantic conventions, unless the span has it; a framework may have added it.

    The SDK's own method fails with an error that has no text.
    """
    attributes = described(error)
    if not attempt(_has_exception, span, attributes):
        span.add_event("exception", {**attributes, "exception.stacktrace": stack_trace(error)})


def described(error: BaseException) -> dict[str, str]:
    """The type and the message of an exception, as far as it can be read, by the semantic conventions."""
    return {"exception.type": _name_of(type(error)), "exception.message": to_text(error) or ""}


def stack_trace(error: BaseException) -> str:
    """What Python would print of it; empty where that fails."""
    return attempt(_stack_trace, error) or ""


def _name_of(kind: type[BaseException]) -> str:
    prefix = "" if kind.__module__ in {"builtins", None} else f"{kind.__module__}."
    return f"{prefix}{kind.__qualname__}"


def _has_exception(span: Span, attributes: Mapping[str, str]) -> bool:
    events = getattr(span, "events", ())  # of a span that is recorded
    return any(event.name == "exception" and attributes.items() <= dict(event.attributes).items() for event in events)


def _stack_trace(error: BaseException) -> str:
    return valid_utf8("".join(traceback.format_exception(error)))
