"""Iterators under observation: one run from the first step to the end, however they are left."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from otel_tutor.recording.stream import AsyncStream, Stream


class Run:
    """What happens to a run."""

    def __init__(self) -> None:
        self.steps = 0
        self.ends: list[type[BaseException] | None] = []

    @contextmanager
    def active(self) -> Iterator[None]:
        self.steps += 1
        yield

    def end(self, error: BaseException | None = None) -> None:
        if not self.ends:
            self.ends.append(type(error) if error else None)


@pytest.fixture
def run() -> Run:
    return Run()


def words() -> Iterator[str]:
    yield "because"
    yield "of waves"


async def async_words() -> AsyncIterator[str]:
    yield "because"
    yield "of waves"


def test_items_pass_and_the_end_is_seen(run: Run) -> None:
    seen: list[str] = []
    stream = Stream(words(), lambda: run, seen.append)

    assert list(stream) == seen == ["because", "of waves"]
    assert (run.steps, run.ends) == (3, [None])


def test_async_items_pass_and_the_end_is_seen(run: Run) -> None:
    async def collect() -> list[str]:
        return [word async for word in AsyncStream(async_words(), lambda: run)]

    assert asyncio.run(collect()) == ["because", "of waves"]
    assert (run.steps, run.ends) == (3, [None])


def test_nothing_begins_before_the_first_step(run: Run) -> None:
    begun: list[Run] = []

    def begin() -> Run:
        begun.append(run)
        return run

    Stream(words(), begin)
    gc.collect()

    assert (begun, run.ends) == ([], [])


def test_a_stream_that_is_dropped_ends_as_left(run: Run) -> None:
    stream = Stream(words(), lambda: run)
    next(stream)
    del stream
    gc.collect()

    assert run.ends == [GeneratorExit]


@pytest.mark.parametrize("thrown", [(ValueError("no"),), (ValueError, ValueError("no")), (ValueError,)])
def test_what_is_thrown_into_a_plain_iterator_comes_back(run: Run, thrown: Any) -> None:
    stream = Stream(iter(["because"]), lambda: run)  # the iterator of a list has no throw()

    with pytest.raises(ValueError, match=r"no|^$"):
        stream.throw(*thrown)
    assert run.ends == [ValueError]


def test_what_is_thrown_into_a_plain_async_iterator_comes_back(run: Run) -> None:
    class Plain:
        def __aiter__(self) -> "Plain":
            return self

        async def __anext__(self) -> str:
            return "because"

    async def throw() -> None:
        await AsyncStream(Plain(), lambda: run).athrow(ValueError("no"))

    with pytest.raises(ValueError, match="no"):
        asyncio.run(throw())
    assert run.ends == [ValueError]


def test_a_traceback_that_is_thrown_along_is_kept(run: Run) -> None:
    try:
        raise ValueError("no")
    except ValueError as error:
        traceback = error.__traceback__
    with pytest.raises(ValueError, match="no") as raised:
        Stream(words(), lambda: run).throw(ValueError, ValueError("no"), traceback)

    assert traceback is not None
    assert traceback.tb_lineno in [entry.lineno + 1 for entry in raised.traceback]


def test_an_async_stream_ends_with_the_task_that_read_it_last(run: Run) -> None:
    stream = AsyncStream(async_words(), lambda: run)

    async def read_one() -> str:
        return await anext(stream)

    async def serve() -> None:
        assert await asyncio.create_task(read_one()) == "because"
        await asyncio.sleep(0)
        assert run.ends == [GeneratorExit]

    asyncio.run(serve())


def test_an_async_stream_may_go_from_one_task_to_the_next(run: Run) -> None:
    stream = AsyncStream(async_words(), lambda: run)

    async def serve() -> None:
        assert await anext(stream) == "because"
        second = asyncio.create_task(anext(stream))
        assert await second == "of waves"

    asyncio.run(serve())


def test_without_asyncio_an_async_stream_works_too(run: Run) -> None:
    step = AsyncStream(async_words(), lambda: run).__anext__()

    with pytest.raises(StopIteration) as returned:
        step.send(None)
    assert returned.value.value == "because"


class Broken:
    """It cannot be iterated."""

    def __iter__(self) -> Iterator[str]:
        raise LookupError("no words")

    def __aiter__(self) -> AsyncIterator[str]:
        raise LookupError("no words")


def test_what_cannot_be_iterated_fails_in_the_first_step(run: Run) -> None:
    stream = Stream(Broken(), lambda: run)
    number: Stream[str] = Stream(5, lambda: run)  # type: ignore[arg-type]  # as an app may pass it

    with pytest.raises(LookupError, match="no words"):
        next(stream)
    assert run.ends == [LookupError]
    with pytest.raises(TypeError, match="not iterable"):
        next(number)


def test_what_cannot_be_iterated_asynchronously_fails_in_the_first_step(run: Run) -> None:
    async def read() -> None:
        await anext(AsyncStream(Broken(), lambda: run))

    with pytest.raises(LookupError, match="no words"):
        asyncio.run(read())
    assert run.ends == [LookupError]


class ClientStream:
    """A stream as model clients have it: iterated by a generator, closed by a method."""

    def __init__(self, run: Run) -> None:
        self.run, self.closed_before_the_end = run, False

    def __iter__(self) -> Iterator[str]:
        return words()

    def close(self) -> None:
        self.closed_before_the_end = not self.run.ends


def test_the_stream_of_a_client_is_closed_before_its_run_ends(run: Run) -> None:
    inner = ClientStream(run)
    stream = Stream(inner, lambda: run)
    next(stream)
    stream.close()

    assert inner.closed_before_the_end
    assert run.ends == [GeneratorExit]


def test_the_async_stream_of_a_client_is_closed_before_its_run_ends(run: Run) -> None:
    class AsyncClientStream(ClientStream):
        def __aiter__(self) -> AsyncIterator[str]:
            return async_words()

        async def close(self) -> None:  # type: ignore[override]  # as openai's is
            super().close()

    async def leave() -> None:
        stream = AsyncStream(inner, lambda: run)
        await anext(stream)
        await stream.aclose()

    inner = AsyncClientStream(run)
    asyncio.run(leave())

    assert inner.closed_before_the_end
    assert run.ends == [GeneratorExit]


def test_a_stream_that_cannot_be_closed_fails_as_its_client_does(run: Run) -> None:
    class Broken(ClientStream):
        def close(self) -> None:
            raise ConnectionError("gone")

    stream = Stream(Broken(run), lambda: run)
    next(stream)
    with pytest.raises(ConnectionError, match="gone"):
        stream.close()

    assert run.ends == [ConnectionError]


def test_closing_what_has_not_begun_begins_nothing(run: Run) -> None:
    stream, async_stream = Stream(words(), lambda: run), AsyncStream(async_words(), lambda: run)
    stream.close()
    asyncio.run(async_stream.aclose())

    assert list(stream) == []
    assert (run.steps, run.ends) == (1, [None])
