"""Each call of a function is observed: plain, coroutine, generator, async generator, or method of a class."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from otel_tutor.recording.stream import AsyncStream, Observation, Stream

__all__ = ["instrument"]

F = TypeVar("F", bound=Callable[..., Any])


def instrument(function: F, begin: Callable[[], Observation]) -> F:
    """`function` with each call observed; the result is of the same kind, so that frameworks treat it the same way."""
    if isinstance(function, (staticmethod, classmethod)):  # the decorator was written above @staticmethod
        return type(function)(instrument(function.__func__, begin))
    wrapper: Any = _wrapper(function, begin)
    functools.update_wrapper(wrapper, function)
    return wrapper  # type: ignore[no-any-return]  # of the kind of `function`, which types cannot say


def _wrapper(function: Callable[..., Any], begin: Callable[[], Observation]) -> Callable[..., Any]:
    if inspect.isasyncgenfunction(function):

        async def async_generate(*args: Any, **kwargs: Any) -> Any:
            stream = AsyncStream(function(*args, **kwargs), begin)
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
    if inspect.isgeneratorfunction(function):

        def generate(*args: Any, **kwargs: Any) -> Any:
            return (yield from Stream(function(*args, **kwargs), begin))

        return generate
    if inspect.iscoroutinefunction(function):

        async def await_(*args: Any, **kwargs: Any) -> Any:
            run = begin()
            try:
                with run.active():
                    result = await function(*args, **kwargs)
            except BaseException as error:
                run.end(error)
                raise
            run.end()
            return result

        return await_

    def call(*args: Any, **kwargs: Any) -> Any:
        run = begin()
        try:
            with run.active():
                result = function(*args, **kwargs)
        except BaseException as error:
            run.end(error)
            raise
        run.end()
        return result

    return call
