"""Whether a cancellation means that a deadline passed: then the service was too slow, and no client went away.

A task is cancelled in the same way for both. What tells them apart:

- `asyncio.timeout()`, and `asyncio.wait_for()` from Python 3.12 on, are time-outs that know whether they expired. Which of
  them a task is inside is noted when they are entered: asyncio itself keeps no list.
- `asyncio.wait_for()` of Python 3.11 cancels what it waits for while nothing cancels its own task.
- A task that another one waits for (`gather()`, a task group, `await task`) is cancelled for that one's reason.
- anyio, from 4.11 on, and trio, from 0.31 on, say the reason in the exception.

What cannot be told apart counts as a client that went away: a plain `task.cancel()` by a timer of the app, a deadline of an
older anyio or trio, and, on Python 3.11, a `wait_for()` inside anyio's `fail_after()`.
"""

import asyncio
import asyncio.tasks
import functools
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final
from weakref import WeakKeyDictionary

from otel_tutor.recording.guard import attempt
from otel_tutor.recording.values import to_text

__all__ = ["passed", "watch_timeouts"]

_ANYIO: Final = "deadline exceeded"  # how anyio ends the message of such a cancellation
_MOST_WAITING: Final = 100  # futures and tasks that are looked at, in whatever shape they wait for each other

# The time-outs that each task is inside.
_entered: "WeakKeyDictionary[asyncio.Task[Any], list[asyncio.Timeout]]" = WeakKeyDictionary()


def watch_timeouts() -> None:
    """Have every `asyncio.Timeout` noted by its task from now on; `configure()` calls this. A second call has no effect."""
    enter, leave = asyncio.Timeout.__aenter__, asyncio.Timeout.__aexit__
    if hasattr(enter, "__wrapped__"):
        return

    @functools.wraps(enter)
    async def aenter(self: asyncio.Timeout) -> asyncio.Timeout:
        entered = await enter(self)
        attempt(_note, self)
        return entered

    @functools.wraps(leave)
    async def aexit(
        self: asyncio.Timeout, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        attempt(_forget, self)
        await leave(self, kind, error, trace)

    changed: Any = asyncio.Timeout
    changed.__aenter__, changed.__aexit__ = aenter, aexit


def _note(timeout: asyncio.Timeout) -> None:
    if (task := asyncio.current_task()) is not None:
        _entered.setdefault(task, []).append(timeout)


def _forget(timeout: asyncio.Timeout) -> None:
    if (task := asyncio.current_task()) is not None and task in _entered:
        _entered[task] = [other for other in _entered[task] if other is not timeout]


def passed(error: BaseException) -> bool:
    """Whether a cancellation that is in progress comes from a deadline."""
    if issubclass(type(error), asyncio.CancelledError):
        return _ANYIO in (to_text(error) or "") or bool(attempt(_current_task_timed_out))
    return getattr(error, "source", None) == "deadline"  # of trio


def _current_task_timed_out() -> bool:
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no event loop runs here: a generator is closed by hand
        return False
    return task is not None and any(map(_timed_out, _with_all_that_wait(task)))


def _timed_out(future: "asyncio.Future[Any]") -> bool:
    if not isinstance(future, asyncio.Task):
        return False
    return any(timeout.expired() for timeout in _entered.get(future, ())) or _gives_up(future)


def _gives_up(task: "asyncio.Task[Any]") -> bool:
    """Whether the task is in `wait_for()`, at the point where that has cancelled what it waited for, by itself."""
    frame: Any = task.get_coro()
    while (inner := getattr(frame, "cr_await", None)) is not None and hasattr(inner, "cr_code"):
        frame = inner
    giving_up = getattr(getattr(asyncio.tasks, "_cancel_and_wait", None), "__code__", None)
    return giving_up is not None and getattr(frame, "cr_code", None) is giving_up and not task.cancelling()


def _with_all_that_wait(task: "asyncio.Task[Any]") -> Iterator["asyncio.Future[Any]"]:
    """The task, the futures and tasks that go on when it is done, those that go on then, and so on."""
    known: list[asyncio.Future[Any]] = [task]
    for future in known:  # which grows meanwhile
        yield future
        known += [waiting for waiting in _waiting_for(future) if waiting not in known and len(known) < _MOST_WAITING]


def _waiting_for(future: "asyncio.Future[Any]") -> Iterator["asyncio.Future[Any]"]:
    """What goes on when `future` is done, as its callbacks show it."""
    for callback, _ in getattr(future, "_callbacks", None) or ():
        owner = getattr(callback, "__self__", None)  # the task that awaits it, or its task group
        cells = [cell.cell_contents for cell in getattr(callback, "__closure__", None) or ()]  # gather()
        arguments = getattr(callback, "args", ())  # wait_for()
        for candidate in (getattr(owner, "_parent_task", owner), *cells, *arguments):
            if asyncio.isfuture(candidate):
                yield candidate
