"""Decorated functions of every kind behave as before, and each call is one run, active only inside."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from opentelemetry.trace import StatusCode

from otel_tutor.monitoring import track_async_time, track_time
from otel_tutor.testing import Capture
from otel_tutor.tracing import get_current_trace_id, trace_async_function, trace_function


def plain() -> str | None:
    return get_current_trace_id()


async def coroutine() -> str | None:
    await asyncio.sleep(0)
    return get_current_trace_id()


def generator() -> Iterator[str | None]:
    yield get_current_trace_id()
    yield get_current_trace_id()


async def async_generator() -> AsyncIterator[str | None]:
    yield get_current_trace_id()
    await asyncio.sleep(0)
    yield get_current_trace_id()


async def consume(function: Callable[[], Any]) -> list[Any]:
    """What a function of any kind gives, while its caller sees no span of it."""
    result = function()
    if inspect.isawaitable(result):
        return [await result]
    seen = []
    if inspect.isasyncgen(result):
        async for item in result:
            seen.append(item)
            assert get_current_trace_id() is None
        return seen
    if inspect.isgenerator(result):
        for item in result:
            seen.append(item)
            assert get_current_trace_id() is None
        return seen
    return [result]


KINDS = [plain, coroutine, generator, async_generator]
CHECKS = [inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction]


@pytest.mark.parametrize("function", KINDS)
@pytest.mark.parametrize("decorate", [trace_function(), trace_async_function()])
def test_a_call_is_one_span_of_its_name_and_of_its_kind(
    captured: Capture, decorate: Callable[[Any], Any], function: Any
) -> None:
    decorated = decorate(function)
    ids = asyncio.run(consume(decorated))

    (span,) = captured.spans
    assert set(ids) == {f"{span.context.trace_id:032x}"}
    assert span.name == function.__name__
    assert [check(decorated) for check in CHECKS] == [check(function) for check in CHECKS]


@pytest.mark.parametrize("function", KINDS)
@pytest.mark.parametrize(
    "decorate", [track_time("work", {"component": "rag"}), track_async_time("work", {"component": "rag"})]
)
def test_a_call_is_timed_once(captured: Capture, decorate: Callable[[Any], Any], function: Any) -> None:
    asyncio.run(consume(decorate(function)))

    (point,) = captured.read_metrics()["work.duration"]
    assert (point.count, dict(point.attributes)) == (1, {"component": "rag"})


def test_methods_of_a_class_are_decorated_above_or_below_what_else_they_are(captured: Capture) -> None:
    class Tutor:
        @trace_function()
        def answer(self) -> str:
            return "yes"

        @trace_function()
        @classmethod
        def make(cls) -> "Tutor":
            return cls()

        @staticmethod
        @trace_function()
        def greet() -> str:
            return "hello"

    assert (Tutor.make().answer(), Tutor.greet()) == ("yes", "hello")
    assert [span.name.rsplit(".", 1)[-1] for span in captured.spans] == ["make", "answer", "greet"]


def test_exceptions_thrown_into_a_generator_reach_it(captured: Capture) -> None:
    caught: list[str] = []

    @contextmanager
    @trace_function()
    def managed() -> Iterator[None]:
        try:
            yield
        except ValueError:
            caught.append("sync")

    @asynccontextmanager
    @trace_async_function()
    async def managed_async() -> AsyncIterator[None]:
        try:
            yield
        except ValueError:
            caught.append("async")

    async def use() -> None:
        async with managed_async():
            raise ValueError

    with managed():
        raise ValueError
    asyncio.run(use())
    assert caught == ["sync", "async"]
    assert [span.status.status_code for span in captured.spans] == [StatusCode.UNSET] * 2


def test_a_generator_that_is_left_ends_its_span_without_an_error(captured: Capture) -> None:
    decorated = trace_function()(generator)
    for _ in decorated():
        break

    async def leave() -> None:
        async for _ in trace_async_function()(async_generator)():
            break

    asyncio.run(leave())
    assert [span.status.status_code for span in captured.spans] == [StatusCode.UNSET] * 2


def test_a_generator_that_fails_records_it_once(captured: Capture) -> None:
    @trace_function()
    def failing() -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        list(failing())

    (span,) = captured.spans
    assert (span.status.status_code, len(span.events)) == (StatusCode.ERROR, 1)


def test_a_function_that_fails_is_an_error_of_its_span(captured: Capture) -> None:
    @trace_function()
    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()

    assert [span.status.description for span in captured.spans] == ["ValueError: no"]


def test_an_async_generator_that_is_closed_is_closed_inside(captured: Capture) -> None:
    closed: list[str] = []

    @trace_async_function()
    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            closed.append("inside")

    async def use() -> None:
        iterator: Any = numbers()
        assert await anext(iterator) == 1
        await iterator.aclose()

    asyncio.run(use())
    assert closed == ["inside"]
    assert [span.status.status_code for span in captured.spans] == [StatusCode.UNSET]


def test_values_sent_into_a_generator_reach_it(captured: Capture) -> None:
    @trace_function()
    def echo() -> Any:
        got = yield "ready"
        while True:
            got = yield got

    running = echo()
    assert [next(running), running.send(1), running.send(2)] == ["ready", 1, 2]
    running.close()
    assert len(captured.spans) == 1
