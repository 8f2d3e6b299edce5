"""A deadline that passes is a failure of the service; a task that someone cancels is not."""

import asyncio
import sys
from collections.abc import Awaitable, Callable

import anyio
import pytest
import trio
from opentelemetry.trace import StatusCode

from otel_tutor.rag import observe_question
from otel_tutor.testing import Capture
from otel_tutor.tracing import trace_operation

SOON, NEVER = 0.01, 60.0
Ask = Callable[[], Awaitable[None]]


async def ask() -> None:
    with observe_question("why?", "physics") as question, question.generation("llama"):
        await anyio.sleep(NEVER)


async def timeout() -> None:
    async with asyncio.timeout(SOON):
        await ask()


async def timeout_at_that_was_moved() -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout_at(loop.time() + NEVER) as scope:
        scope.reschedule(loop.time() + SOON)
        await ask()


async def wait_for() -> None:
    await asyncio.wait_for(ask(), SOON)


async def wait_for_several() -> None:
    await asyncio.wait_for(asyncio.gather(ask(), trace_nothing()), SOON)


async def trace_nothing() -> None:
    await asyncio.sleep(NEVER)


async def wait_for_a_task() -> None:
    await asyncio.wait_for(asyncio.create_task(ask()), SOON)


async def timeout_around_a_longer_one() -> None:
    async with asyncio.timeout(SOON):
        await asyncio.wait_for(ask(), NEVER)


async def timeout_around_a_task_group() -> None:
    async with asyncio.timeout(SOON), asyncio.TaskGroup() as tasks:
        tasks.create_task(ask())
        tasks.create_task(trace_nothing())


async def fail_after() -> None:
    with anyio.fail_after(SOON):
        await ask()


async def fail_after_around_a_task_group() -> None:
    with anyio.fail_after(SOON):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)


async def fail_after_around_gather() -> None:
    with anyio.fail_after(SOON):
        await asyncio.gather(ask(), trace_nothing())


async def own_timeout() -> None:
    with observe_question("why?", "physics"):
        raise TimeoutError


async def timeout_inside_the_question() -> None:
    with observe_question("why?", "physics"):
        async with asyncio.timeout(SOON):
            await asyncio.sleep(NEVER)


DEADLINES = [
    timeout,
    timeout_at_that_was_moved,
    wait_for,
    wait_for_several,
    wait_for_a_task,
    timeout_around_a_longer_one,
    timeout_around_a_task_group,
    fail_after,
    fail_after_around_a_task_group,
    fail_after_around_gather,
    own_timeout,
    timeout_inside_the_question,
]


@pytest.mark.parametrize("act", DEADLINES, ids=lambda act: act.__name__)
def test_a_deadline_that_passes_is_an_error_of_the_question_and_its_steps(captured: Capture, act: Ask) -> None:
    with pytest.raises(TimeoutError):
        asyncio.run(act())  # type: ignore[arg-type]  # they are coroutine functions

    assert captured.value("rag_queries_total") == captured.value("rag_queries_total", status="error") == 1
    assert {span.status.status_code for span in captured.spans} == {StatusCode.ERROR}
    assert [event.name for span in captured.spans for event in span.events] == ["exception"] * len(captured.spans)


async def cancel() -> None:
    task = asyncio.create_task(ask())
    await asyncio.sleep(SOON)
    task.cancel()
    await task


async def cancel_inside_a_deadline_that_has_not_passed() -> None:
    async with asyncio.timeout(NEVER):
        await cancel()


async def cancel_after_a_deadline_that_passed() -> None:
    try:
        async with asyncio.timeout(SOON):
            await trace_nothing()
    except TimeoutError:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_later(SOON, task.cancel)
        await ask()


async def cancel_the_task_that_waits() -> None:
    async def wait() -> None:
        await asyncio.wait_for(ask(), NEVER)

    task = asyncio.create_task(wait())
    await asyncio.sleep(SOON)
    task.cancel()
    await task


async def cancel_what_is_waited_for() -> None:
    answer = asyncio.create_task(ask())
    asyncio.get_running_loop().call_later(SOON, answer.cancel)
    await asyncio.wait_for(answer, NEVER)


CANCELLATIONS = [
    cancel,
    cancel_inside_a_deadline_that_has_not_passed,
    cancel_after_a_deadline_that_passed,
    cancel_the_task_that_waits,
    cancel_what_is_waited_for,
]


@pytest.mark.parametrize("act", CANCELLATIONS, ids=lambda act: act.__name__)
def test_a_task_that_is_cancelled_is_no_failure(captured: Capture, act: Ask) -> None:
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(act())  # type: ignore[arg-type]

    assert captured.value("rag_queries_total") == captured.value("rag_queries_total", status="cancelled") == 1
    assert {span.status.status_code for span in captured.spans} == {StatusCode.UNSET}


def test_a_scope_of_anyio_that_is_cancelled_is_no_failure(captured: Capture) -> None:
    async def act() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await anyio.sleep(SOON)
            tasks.cancel_scope.cancel()

    asyncio.run(act())
    assert captured.value("rag_queries_total", status="cancelled") == 1


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="only Python 3.11 has wait_for() cancel another task")
def test_what_cannot_be_told_apart_counts_as_cancelled(captured: Capture) -> None:
    async def act() -> None:
        with anyio.fail_after(SOON):
            await asyncio.wait_for(ask(), NEVER)

    with pytest.raises(TimeoutError):
        asyncio.run(act())
    assert captured.value("rag_queries_total", status="cancelled") == 1


@pytest.mark.parametrize(("scope", "status"), [(trio.fail_after, "error"), (trio.move_on_after, "error")])
def test_trio_says_why_it_cancels(captured: Capture, scope: Callable[[float], trio.CancelScope], status: str) -> None:
    async def act() -> None:
        try:
            with scope(SOON):
                await ask()
        except trio.TooSlowError:
            pass

    trio.run(act)
    assert captured.value("rag_queries_total", status=status) == 1


def test_trio_may_cancel_for_another_reason(captured: Capture) -> None:
    async def act() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.sleep(SOON)
            nursery.cancel_scope.cancel()

    trio.run(act)
    assert captured.value("rag_queries_total", status="cancelled") == 1


def test_a_cancelled_generator_that_no_loop_runs_is_no_failure(captured: Capture) -> None:
    with pytest.raises(asyncio.CancelledError), trace_operation("work"):
        raise asyncio.CancelledError

    assert captured.spans[0].status.status_code is StatusCode.UNSET
