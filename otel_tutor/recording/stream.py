"""Generators under observation: an operation from their first step to their end, active only while they compute."""

import asyncio
import contextvars
import functools
import inspect
import weakref
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Generator, Iterable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Final, Protocol, TypeVar

__all__ = ["AsyncStream", "EitherStream", "Observation", "Stream", "end_in_finaliser", "relaying", "stream_of"]

T = TypeVar("T")
OnItem = Callable[[Any], None]

_MOST_WRAPPERS: Final = 20  # of instrumentations around a stream; an object may have every attribute it is asked for


class Observation(Protocol):
    """What is observed: active while its code runs, ended once."""

    def active(self) -> AbstractContextManager[None]:
        """Entered around each step."""

    def end(self, error: BaseException | None = None) -> None:
        """Called at the end; a second call has no effect."""


def _nothing(_: object) -> None:
    pass


class _ObservedIterator:
    """The common part of both kinds: begun at the first step, ended at the latest when the iterator is gone.

    What is iterated is asked for its iterator in the first step as well, so that a failure of that is one of the operation.
    """

    def __init__(self, inner: Any, begin: Callable[[], Observation], on_item: OnItem = _nothing) -> None:
        self._inner = inner
        self._begin = begin
        self._on_item = on_item
        self._run: Observation | None = None
        self._iterator: Any = None

    def start(self) -> Observation:
        """Begin now instead of at the first step."""
        if self._run is None:
            self._run = self._begin()
        return self._run

    def __del__(self) -> None:
        if getattr(self, "_run", None) is not None:  # a client that went away leaves it unfinished and unclosed
            end_in_finaliser(self.start())


class Stream(_ObservedIterator, Generator[T, Any, Any]):
    """An iterable, iterator or generator under observation."""

    def __init__(self, inner: Iterable[T], begin: Callable[[], Observation], on_item: OnItem = _nothing) -> None:
        super().__init__(inner, begin, on_item)

    def send(self, value: Any) -> T:
        """Resume it, as a generator."""
        return self._step(lambda inner: next(inner) if value is None else inner.send(value))

    def throw(self, typ: Any, val: Any = None, tb: TracebackType | None = None) -> T:
        """Raise in it, as in a generator."""
        error = _error(typ, val, tb)
        return self._step(lambda inner: getattr(inner, "throw", _refuse)(error))

    def close(self) -> None:
        """End it where it is, as left, and close what it iterates: the streams of model clients hold a connection."""
        if self._run is None:
            self._close_inner()
            return
        with self._run.active():
            try:
                self._close_inner()
            except BaseException as error:
                self._run.end(error)
                raise
        self._run.end(GeneratorExit())

    def _close_inner(self) -> None:
        for opened in (self._iterator, self._inner):
            if callable(close := getattr(opened, "close", None)):
                close()

    def _step(self, resume: Callable[[Any], T]) -> T:
        run = self.start()
        with run.active():
            try:
                if self._iterator is None:
                    self._iterator = iter(self._inner)
                item = resume(self._iterator)
            except StopIteration:
                run.end()
                raise
            except BaseException as error:
                run.end(error)
                raise
            self._on_item(item)
        return item


class AsyncStream(_ObservedIterator, AsyncGenerator[T, Any]):
    """An async iterable, iterator or generator under observation.

    It ends at the latest with the task that iterates it: when a client goes away, servers cancel the task and close nothing.
    """

    _task: "asyncio.Task[Any] | None" = None

    def __init__(self, inner: AsyncIterable[T], begin: Callable[[], Observation], on_item: OnItem = _nothing) -> None:
        super().__init__(inner, begin, on_item)

    async def asend(self, value: Any) -> T:
        """Resume it, as an async generator."""
        return await self._async_step(lambda inner: anext(inner) if value is None else inner.asend(value))

    async def athrow(self, typ: Any, val: Any = None, tb: TracebackType | None = None) -> T:
        """Raise in it, as in an async generator."""
        error = _error(typ, val, tb)
        return await self._async_step(lambda inner: getattr(inner, "athrow", _refuse_async)(error))

    async def aclose(self) -> None:
        """End it where it is, as left, and close what it iterates: the streams of model clients hold a connection."""
        if self._run is None:
            await self._aclose_inner()
            return
        with self._run.active():
            try:
                await self._aclose_inner()
            except BaseException as error:
                self._run.end(error)
                raise
        self._run.end(GeneratorExit())

    async def _aclose_inner(self) -> None:
        for opened in (self._iterator, self._inner):
            close = getattr(opened, "aclose", None) or getattr(opened, "close", None)
            if callable(close) and inspect.isawaitable(closing := close()):
                await closing

    async def _async_step(self, resume: Callable[[Any], Awaitable[T]]) -> T:
        run = self.start()
        self._follow(_current_task())
        with run.active():
            try:
                if self._iterator is None:
                    self._iterator = aiter(self._inner)
                item = await resume(self._iterator)
            except StopAsyncIteration:
                run.end()
                raise
            except BaseException as error:
                run.end(error)
                raise
            self._on_item(item)
        return item

    def _follow(self, task: "asyncio.Task[Any] | None") -> None:
        if task is not None and task is not self._task:
            self._task = task
            task.add_done_callback(functools.partial(_abandoned, weakref.ref(self)))


class EitherStream(Stream[Any], AsyncStream[Any]):
    """What can be iterated both ways, under observation in the way that it is iterated."""


def stream_of(pieces: Any) -> "type[Stream[Any] | AsyncStream[Any]]":
    """The kind of stream that observes `pieces`.

    Instrumentations wrap the stream of a client in an object that has the methods of both kinds, whichever it wraps: what
    is inside decides.
    """
    inside = pieces
    for _ in range(_MOST_WRAPPERS):
        if (wrapped := getattr(inside, "__wrapped__", None)) is None:
            break
        inside = wrapped
    for candidate in (type(inside), type(pieces)):
        kinds = hasattr(candidate, "__iter__"), hasattr(candidate, "__aiter__")
        if kinds == (True, False):
            return Stream
        if kinds == (False, True):
            return AsyncStream
    return EitherStream if hasattr(type(pieces), "__aiter__") else Stream


def end_in_finaliser(run: Observation) -> None:
    """End what was left, in a copy of the context.

    Until Python 3.12 the garbage collector may run while a context is changed; changing the same one then crashes Python.
    """
    contextvars.copy_context().run(run.end, GeneratorExit())


def relaying(make: Callable[..., AsyncStream[T]]) -> Callable[..., AsyncGenerator[T, Any]]:
    """An async generator function; its generators pass everything to the stream that `make` gives for their arguments."""

    async def async_generate(*args: Any, **kwargs: Any) -> AsyncGenerator[T, Any]:
        stream = make(*args, **kwargs)
        resume: Any = stream.asend
        sent: Any = None
        while True:  # what `yield from` does: values and exceptions go both ways
            try:
                item = await resume(sent)
            except StopAsyncIteration:
                return
            try:
                sent, resume = (yield item), stream.asend
            except GeneratorExit:
                await stream.aclose()
                raise
            except BaseException as error:
                resume, sent = stream.athrow, error

    return async_generate


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
