"""Generators under observation: an operation from their first step to their end, active only while they compute."""

import asyncio
import functools
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

__all__ = ["AsyncStream", "Observation", "Stream"]

T = TypeVar("T")


class Observation(Protocol):
    """What is observed: active while its code runs, ended once."""

    def active(self) -> AbstractContextManager[None]:
        """Entered around each step."""

    def end(self, error: BaseException | None = None) -> None:
        """Called at the end; a second call has no effect."""


def _nothing() -> None:
    pass


class _ObservedIterator(Generic[T]):
    """The common part of both kinds: begun at the first step, ended at the latest when the iterator is gone."""

    def __init__(self, inner: T, begin: Callable[[], Observation], on_item: Callable[[], None] = _nothing) -> None:
        self._inner = inner
        self._begin = begin
        self._on_item = on_item
        self._run: Observation | None = None

    def start(self) -> Observation:
        """Begin now instead of at the first step."""
        if self._run is None:
            self._run = self._begin()
        return self._run

    def __del__(self) -> None:
        if getattr(self, "_run", None) is not None:
            self.start().end(GeneratorExit())  # a client that went away leaves it unfinished and unclosed


class Stream(_ObservedIterator[Iterator[T]], Generator[T, Any, Any]):
    """An iterator or generator under observation."""

    def send(self, value: Any) -> T:
        """Resume it, as a generator."""
        inner: Any = self._inner
        return self._step(inner.__next__) if value is None else self._step(inner.send, value)

    def throw(self, typ: Any, val: Any = None, tb: TracebackType | None = None) -> T:
        """Raise in it, as in a generator."""
        return self._step(getattr(self._inner, "throw", _refuse), _error(typ, val, tb))

    def _step(self, resume: Callable[..., T], *args: Any) -> T:
        run = self.start()
        with run.active():
            try:
                item = resume(*args)
            except StopIteration:
                run.end()
                raise
            except BaseException as error:
                run.end(error)
                raise
            self._on_item()
        return item


class AsyncStream(_ObservedIterator[AsyncIterator[T]], AsyncGenerator[T, Any]):
    """An async iterator or generator under observation.

    It ends at the latest with the task that iterates it: when a client goes away, servers cancel the task and close nothing.
    """

    _task: "asyncio.Task[Any] | None" = None

    async def asend(self, value: Any) -> T:
        """Resume it, as an async generator."""
        inner: Any = self._inner
        return await (self._step(inner.__anext__) if value is None else self._step(inner.asend, value))

    async def athrow(self, typ: Any, val: Any = None, tb: TracebackType | None = None) -> T:
        """Raise in it, as in an async generator."""
        return await self._step(getattr(self._inner, "athrow", _refuse_async), _error(typ, val, tb))

    async def _step(self, resume: Callable[..., Awaitable[T]], *args: Any) -> T:
        run = self.start()
        self._follow(_current_task())
        with run.active():
            try:
                item = await resume(*args)
            except StopAsyncIteration:
                run.end()
                raise
            except BaseException as error:
                run.end(error)
                raise
            self._on_item()
        return item

    def _follow(self, task: "asyncio.Task[Any] | None") -> None:
        if task is not None and task is not self._task:
            self._task = task
            task.add_done_callback(functools.partial(_abandoned, weakref.ref(self)))


def _current_task() -> "asyncio.Task[Any] | None":
    try:
        return asyncio.current_task()
    except RuntimeError:  # another event loop than asyncio's
        return None


def _abandoned(stream: "weakref.ref[AsyncStream[Any]]", task: "asyncio.Task[Any]") -> None:
    if (left := stream()) is not None and left._task is task:
        left.start().end(GeneratorExit())


def _error(typ: Any, val: Any, tb: TracebackType | None) -> BaseException:
    error: BaseException = typ if isinstance(typ, BaseException) else val if isinstance(val, BaseException) else typ()
    return error.with_traceback(tb) if tb is not None else error


def _refuse(error: BaseException) -> Any:
    raise error


async def _refuse_async(error: BaseException) -> Any:
    raise error
