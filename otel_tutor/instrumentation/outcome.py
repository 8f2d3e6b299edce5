"""How a request or a connection ended, and whether the service is to blame: alerts count its failures, not its clients'."""

import asyncio
import sys
from typing import Final

from starlette.exceptions import HTTPException, WebSocketException
from starlette.requests import ClientDisconnect
from starlette.websockets import WebSocketDisconnect

__all__ = ["CLIENT_GONE", "INTERNAL_ERROR", "SERVER_ERROR", "failure_of", "failure_of_connection", "is_abandoned"]

CLIENT_GONE: Final = 499  # nginx's code for a client that hung up before the response began
SERVER_ERROR: Final = 500
INTERNAL_ERROR: Final = 1011  # RFC 6455: the side that closes met a condition that it did not expect

_ABANDONED: Final = (ClientDisconnect, asyncio.CancelledError, GeneratorExit, KeyboardInterrupt)

# RFC 6455: finished, went away, gave no reason, vanished. Those of applications begin at 3000.
_CLOSED_BY_CLIENT: Final = {1000, 1001, 1005, 1006}
_OF_APPLICATIONS: Final = 3000


def is_abandoned(error: BaseException) -> bool:
    """Whether no one wants the result any more: the client has gone, or the process ends and says that all is well."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_abandoned, error.exceptions))
    if isinstance(error, SystemExit):
        return error.code in {None, 0}
    trio = sys.modules.get("trio")  # without it there is no such exception
    return isinstance(error, _ABANDONED) or (trio is not None and isinstance(error, trio.Cancelled))


def failure_of(error: BaseException | None) -> BaseException | None:
    """`error` when it is a failure of the service; an HTTPException is an answer, whose status says the rest."""
    return None if error is None or isinstance(error, HTTPException) or is_abandoned(error) else error


def failure_of_connection(error: BaseException | None) -> BaseException | None:
    """The same for a WebSocket: one that its client closes as usual, or that the app refuses, is no failure either."""
    if isinstance(error, BaseExceptionGroup):
        return error if any(map(failure_of_connection, error.exceptions)) else None
    if isinstance(error, WebSocketDisconnect):
        return None if error.code in _CLOSED_BY_CLIENT or error.code >= _OF_APPLICATIONS else error
    if isinstance(error, WebSocketException):
        return error if error.code == INTERNAL_ERROR else None
    return failure_of(error)
