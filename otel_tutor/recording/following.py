"""What a plain function returns may only be the beginning: a coroutine, another awaitable, a generator.

Its run then ends when that is done, or when it is dropped without having been awaited or exhausted.
"""

import asyncio
import functools
import inspect
import types
from collections.abc import Callable, Generator
from typing import Any

from wrapt import AutoObjectProxy

from otel_tutor.recording.guard import attempt
from otel_tutor.recording.stream import AsyncStream, Observation, Stream, end_in_finaliser, relaying

__all__ = ["follow"]


def follow(result: Any, run: Observation) -> Any:
    """`result`, or the same kind of thing in its place, with `run` ended when it is done."""
    kind = type(result)
    if kind is types.CoroutineType:
        return _named(_awaited(result, _Open(run, result.close)), result)
    if kind is types.GeneratorType:
        stream: Stream[Any] = Stream(result, lambda: run)
        stream.start()
        resume = _exhausted_in_await if inspect.isawaitable(result) else _exhausted
        return _named(resume(stream), result)
    if kind is types.AsyncGeneratorType:
        async_stream: AsyncStream[Any] = AsyncStream(result, lambda: run)
        async_stream.start()
        return _named(relaying(lambda: async_stream)(), result)
    if hasattr(kind, "__await__"):
        if attempt(asyncio.isfuture, result):  # it is also cancelled and compared: no proxy
            attempt(result.add_done_callback, functools.partial(_end_with, run))
            return result
        awaitable = attempt(_Awaitable, result)
        if awaitable is not None:
            awaitable._self_held = _Open(run)
            return awaitable
    run.end()
    return result


def _nothing() -> None:
    pass


class _Open:
    """A run that ends at the latest when this object is gone."""

    def __init__(self, run: Observation, close: Callable[[], None] = _nothing) -> None:
        self.run = run
        self._close = close  # of a coroutine: Python has said of the one around it that it was never awaited

    def __del__(self) -> None:
        end_in_finaliser(self.run)
        self._close()


async def _awaited(inner: Any, held: _Open) -> Any:
    try:
        with held.run.active():
            result = await inner
    except BaseException as error:
        held.run.end(error)
        raise
    held.run.end()
    return result


def _exhausted(stream: Stream[Any]) -> Generator[Any, Any, Any]:
    return (yield from stream)


@types.coroutine  # which changes the function that it is given
def _exhausted_in_await(stream: Stream[Any]) -> Generator[Any, Any, Any]:
    return (yield from stream)


class _Awaitable(AutoObjectProxy):  # type: ignore[type-arg]  # wrapt 2.0 has no types, and takes none
    """An awaitable that is no coroutine, and may be more than an awaitable."""

    _self_held: _Open

    def __await__(self) -> Generator[Any, Any, Any]:
        run = self._self_held.run
        return _exhausted(Stream(self.__wrapped__.__await__(), lambda: run))


def _end_with(run: Observation, future: "asyncio.Future[Any]") -> None:
    # exception() would count as retrieving it, and keep asyncio from logging one that no one retrieves.
    run.end(asyncio.CancelledError() if future.cancelled() else getattr(future, "_exception", None))


def _named(wrapper: Any, inner: Any) -> Any:
    wrapper.__name__, wrapper.__qualname__ = inner.__name__, inner.__qualname__
    return wrapper
