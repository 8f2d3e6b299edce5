"""A plain function may return what has yet to run: its span lasts until that is done, awaited or dropped."""

import asyncio
import gc
import inspect
import types
import warnings
from collections.abc import AsyncIterator, Awaitable, Coroutine, Generator, Iterator
from typing import Any

import pytest
from opentelemetry.trace import StatusCode

from otel_tutor.testing import Capture
from otel_tutor.tracing import get_current_trace_id, trace_function


async def answer() -> str | None:
    await asyncio.sleep(0)
    return get_current_trace_id()


async def fail() -> None:
    await asyncio.sleep(0)
    raise ValueError("no answer")


class Query:
    """More than an awaitable, as those of database clients are."""

    limit = 5

    def __await__(self) -> Generator[Any, None, str | None]:
        return answer().__await__()

    async def __aenter__(self) -> "Query":
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def __aiter__(self) -> AsyncIterator[int]:
        yield 1


@trace_function()
def coroutine() -> Coroutine[Any, Any, str | None]:
    return answer()


@trace_function()
def query() -> Query:
    return Query()


@trace_function()
def task() -> "asyncio.Task[str | None]":
    return asyncio.ensure_future(answer())


@types.coroutine
def old() -> Any:
    yield
    return get_current_trace_id()


@trace_function()
def generator_based() -> Any:
    return old()


@pytest.mark.parametrize("function", [coroutine, query, task, generator_based], ids=lambda function: function.__name__)
def test_a_span_lasts_until_what_was_returned_is_awaited(captured: Capture, function: Any) -> None:
    async def use() -> str | None:
        waiting = function()
        assert captured.spans == []
        result: str | None = await waiting
        await asyncio.sleep(0)  # a task says that it is done when the loop comes to it
        return result

    result = asyncio.run(use())
    span = captured.spans[-1]
    assert span.name == function.__name__
    assert result in {f"{span.context.trace_id:032x}", None}  # a task is started outside the span's own steps


def test_what_is_returned_is_what_it_was(captured: Capture) -> None:
    async def use() -> None:
        waiting = coroutine()
        assert inspect.iscoroutine(waiting)
        assert (waiting.__name__, waiting.__qualname__) == ("answer", "answer")
        assert isinstance(task(), asyncio.Task)
        asked = query()
        assert (isinstance(asked, Query), asked.limit, inspect.isawaitable(asked)) == (True, 5, True)
        await asyncio.gather(waiting, asked)

    asyncio.run(use())


def test_an_awaitable_may_be_used_in_other_ways(captured: Capture) -> None:
    async def use() -> list[Any]:
        async with query() as opened:
            return [item async for item in opened] + [item async for item in query()]

    assert asyncio.run(use()) == [1, 1]
    gc.collect()
    assert len(captured.spans) == 2


@trace_function()
def failing() -> Awaitable[None]:
    return fail()


@trace_function()
def failing_task() -> Awaitable[None]:
    return asyncio.ensure_future(fail())


@pytest.mark.parametrize("function", [failing, failing_task], ids=lambda function: function.__name__)
def test_a_failure_that_comes_later_is_one_of_the_span(captured: Capture, function: Any) -> None:
    async def use() -> None:
        with pytest.raises(ValueError, match="no answer"):
            await function()
        await asyncio.sleep(0)

    asyncio.run(use())
    assert [span.status.status_code for span in captured.spans] == [StatusCode.ERROR]


def test_asyncio_still_logs_the_exception_of_a_task_that_no_one_retrieves(
    captured: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    async def use() -> None:
        failing_task()
        for _ in range(5):
            await asyncio.sleep(0)

    asyncio.run(use())
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] != []
    assert [span.status.status_code for span in captured.spans] == [StatusCode.ERROR]


def test_a_task_that_is_cancelled_ends_its_span_without_an_error(captured: Capture) -> None:
    async def use() -> None:
        running = task()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await asyncio.sleep(0)

    asyncio.run(use())
    assert [span.status.status_code for span in captured.spans] == [StatusCode.UNSET]


def test_what_is_never_awaited_ends_its_span_and_python_says_so_once(captured: Capture) -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        dropped = [coroutine(), query()]
        dropped.clear()
        gc.collect()
    messages = [str(warning.message) for warning in said]
    said.clear()  # a warning holds the coroutine that it is about
    gc.collect()

    assert messages == ["coroutine 'answer' was never awaited"]
    assert sorted(span.name for span in captured.spans) == ["coroutine", "query"]


def pages() -> Iterator[int]:
    yield from (1, 2)


async def async_pages() -> AsyncIterator[int]:
    yield 1
    yield 2


@trace_function()
def generator() -> Iterator[int]:
    return pages()


@trace_function()
def async_generator() -> AsyncIterator[int]:
    return async_pages()


def test_a_generator_that_is_returned_is_traced_to_its_end(captured: Capture) -> None:
    running = generator()
    assert inspect.isgenerator(running)
    assert running.__name__ == "pages"
    assert captured.spans == []

    assert list(running) == [1, 2]
    assert [span.name for span in captured.spans] == ["generator"]


def test_an_async_generator_that_is_returned_is_traced_to_its_end(captured: Capture) -> None:
    async def read() -> list[Any]:
        running = async_generator()
        assert inspect.isasyncgen(running)
        return [page async for page in running]

    assert asyncio.run(read()) == [1, 2]
    assert [span.name for span in captured.spans] == ["async_generator"]


def test_generators_that_are_not_read_end_their_spans(captured: Capture) -> None:
    generator()
    async_generator()
    gc.collect()

    assert [span.status.status_code for span in captured.spans] == [StatusCode.UNSET] * 2
