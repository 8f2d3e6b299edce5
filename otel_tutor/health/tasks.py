"""Tasks and waiting in the event loop that asks, asyncio's or trio's: health checks run in either."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import Context
from typing import Any

__all__ = ["Task", "call_later", "current_loop", "has_ended", "settled", "spawn"]


class Task:
    """A function that runs by itself. `outcome` gets what it returns, or the exception that ended it, as a value."""

    def __init__(self, cancel: Callable[[], object], outcome: "Future[Any]") -> None:
        self.cancel = cancel
        self.outcome = outcome
        self._loop = current_loop()

    def is_running(self) -> bool:
        """Whether an outcome may still come."""
        return not self.outcome.done() and not has_ended(self._loop)


def spawn(function: Callable[[], Awaitable[object]], *, name: str, context: Context) -> Task:
    """Begin `function` as a task that belongs to no one, in this context; it lives until it ends or its event loop does."""
    outcome: Future[Any] = Future()
    outcome.set_running_or_notify_cancel()  # who gives up waiting must not cancel what others wait for
    return (_spawn_in_trio if _trio() else _spawn_in_asyncio)(function, name, context, outcome)


async def settled(future: "Future[Any]", seconds: float | None = None) -> bool:
    """Whether a future has its result: once it has, or after so many seconds. It is not cancelled by who gives up."""
    await (_wait_in_trio if _trio() else _wait_in_asyncio)(future, seconds)
    return future.done()


def current_loop() -> object:
    """What tells this event loop from others."""
    trio = _trio()
    return trio.lowlevel.current_trio_token() if trio else asyncio.get_running_loop()


def has_ended(loop: Any) -> bool:
    """Whether nothing runs in an event loop any more."""
    if isinstance(loop, asyncio.AbstractEventLoop):
        return loop.is_closed()
    try:
        loop.run_sync_soon(_nothing)
    except sys.modules["trio"].RunFinishedError:
        return True
    return False


def call_later(loop: Any, seconds: float, function: Callable[[], object]) -> None:
    """Have a function called in an event loop after so many seconds; from any thread, and from a signal handler."""
    if isinstance(loop, asyncio.AbstractEventLoop):
        loop.call_soon_threadsafe(loop.call_later, seconds, function)
        return
    trio = sys.modules["trio"]

    async def call() -> None:
        await trio.sleep(seconds)
        function()

    loop.run_sync_soon(trio.lowlevel.spawn_system_task, call)


def _trio() -> Any:
    """The module, inside a task of trio; there asyncio may run as well, around it."""
    trio = sys.modules.get("trio")
    return trio if trio is not None and trio.lowlevel.in_trio_task() else None


def _nothing() -> None:
    pass


def _spawn_in_asyncio(function: Callable[[], Any], name: str, context: Context, outcome: "Future[Any]") -> Task:
    task = asyncio.get_running_loop().create_task(function(), name=name, context=context)

    def settle(_: object) -> None:
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        outcome.set_result(task.result() if error is None else error)

    task.add_done_callback(settle)
    return Task(task.cancel, outcome)


def _spawn_in_trio(function: Callable[[], Any], name: str, context: Context, outcome: "Future[Any]") -> Task:
    trio = _trio()
    scope = trio.CancelScope()

    async def run() -> None:
        ended: object = asyncio.CancelledError()
        try:
            with scope:
                ended = await function()
        except trio.Cancelled:
            raise
        except BaseException as error:  # nothing may leave a task of the system
            ended = error
        finally:
            outcome.set_result(ended)

    trio.lowlevel.spawn_system_task(run, name=name, context=context)
    return Task(scope.cancel, outcome)


async def _wait_in_asyncio(future: "Future[Any]", seconds: float | None) -> None:
    waiting = asyncio.wrap_future(future)
    try:
        await asyncio.wait({waiting}, timeout=seconds)
    finally:
        if not waiting.cancel() and not waiting.cancelled():
            waiting.exception()  # asyncio logs one that no one asks for


async def _wait_in_trio(future: "Future[Any]", seconds: float | None) -> None:
    trio = _trio()
    done, token = trio.Event(), trio.lowlevel.current_trio_token()

    def wake(_: object) -> None:
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(done.set)

    future.add_done_callback(wake)
    with trio.move_on_after(float("inf") if seconds is None else max(0.0, seconds)):
        await done.wait()
