"""Whether a request or a connection ended by a failure of the service: alerts count those, and not what its clients do."""

from typing import Final

from starlette.exceptions import HTTPException, WebSocketException
from starlette.websockets import WebSocketDisconnect

from otel_tutor.recording.outcome import CANCELLED, outcome_of

__all__ = ["CLIENT_GONE", "INTERNAL_ERROR", "SERVER_ERROR", "failure_of", "failure_of_connection", "failure_of_task"]

CLIENT_GONE: Final = 499  # nginx's code for a client that hung up before the response began
SERVER_ERROR: Final = 500
INTERNAL_ERROR: Final = 1011  # RFC 6455: the side that closes met a condition that it did not expect

# RFC 6455: finished, went away, gave no reason, vanished. Those of applications begin at 3000.
_CLOSED_BY_CLIENT: Final = {1000, 1001, 1005, 1006}
_OF_APPLICATIONS: Final = 3000


def failure_of(error: BaseException | None) -> BaseException | None:
    """`error` when the service is to blame. An HTTPException is an answer: its status says the rest."""
    return None if error is None or issubclass(type(error), HTTPException) else failure_of_task(error)


def failure_of_connection(error: BaseException | None) -> BaseException | None:
    """The same for a WebSocket: one that its client closes as usual, or that the app refuses, is no failure either."""
    if isinstance(error, BaseExceptionGroup):
        return error if any(map(failure_of_connection, error.exceptions)) else None
    if isinstance(error, WebSocketDisconnect):
        return None if error.code in _CLOSED_BY_CLIENT or error.code >= _OF_APPLICATIONS else error
    if isinstance(error, WebSocketException):
        return error if error.code == INTERNAL_ERROR else None
    return failure_of(error)


def failure_of_task(error: BaseException) -> BaseException | None:
    """The same for what no one waits for: an HTTPException is no answer there. That the process is to end is no failure."""
    if issubclass(type(error), KeyboardInterrupt):
        return None
    return error if issubclass(type(error), HTTPException) or outcome_of(error) != CANCELLED else None
