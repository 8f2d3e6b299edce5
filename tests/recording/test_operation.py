"""One operation: one span, one clock, one end."""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.trace import StatusCode

from otel_tutor.recording.operation import Block, Operation, current_operation, was_cancelled
from otel_tutor.testing import Capture
from tests.support.failing import failing_spans


def test_it_is_current_only_while_its_code_runs(captured: Capture) -> None:
    step = Operation("step", {}, role="test.step")
    assert current_operation("test.step") is None
    with step.active():
        assert current_operation("test.step") is step
        assert trace.get_current_span() is step.span
    assert current_operation("test.step") is None
    step.end()


def test_another_role_does_not_find_it(captured: Capture) -> None:
    step = Operation("step", {}, role="test.step")
    with step.active():
        assert current_operation("test.other") is None
    step.end()


def test_it_ends_once_however_often_it_is_ended(captured: Capture) -> None:
    ended: list[tuple[float, BaseException | None]] = []
    with captured.frozen() as clock:
        step = Operation("step", {}, on_end=lambda seconds, error: ended.append((seconds, error)))
        clock.advance(2)
        step.end()
        clock.advance(2)
        step.end(ValueError("too late"))

    assert ended == [(2, None)]
    assert [span.status.status_code for span in captured.spans] == [StatusCode.UNSET]


def test_what_is_recorded_at_its_end_belongs_to_its_trace(captured: Capture) -> None:
    seen: list[int] = []
    step = Operation("step", {}, on_end=lambda *_: seen.append(trace.get_current_span().get_span_context().span_id))
    step.end()

    assert seen == [captured.spans[0].context.span_id]


def test_an_error_is_recorded_with_its_class_and_text(captured: Capture) -> None:
    Operation("step", {}).end(ValueError("no"))

    (span,) = captured.spans
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "ValueError: no")
    assert [event.name for event in span.events] == ["exception"]


@pytest.mark.parametrize(
    ("error", "cancelled"),
    [
        (asyncio.CancelledError(), True),
        (GeneratorExit(), True),
        (ValueError(), False),
        (KeyboardInterrupt(), False),
        (None, False),
    ],
)
def test_a_client_that_goes_away_is_no_failure(error: BaseException, cancelled: bool) -> None:
    assert was_cancelled(error) is cancelled


def test_an_operation_without_a_span_is_an_operation_all_the_same(captured: Capture) -> None:
    ended: list[float] = []
    with captured.frozen() as clock, failing_spans(captured):
        step = Operation("step", {}, on_end=lambda seconds, _: ended.append(seconds))
        clock.advance(1)
        with step.active():
            pass
        step.end()

    assert (ended, captured.spans) == ([1], [])


def left_in(run: Callable[[Callable[[], None]], object]) -> bool:
    """Whether this context is as it was once a block was entered here and left by `run`."""
    before = context.get_current()
    block = Block("step", {})
    block.__enter__()
    run(lambda: block.__exit__(None, None, None))
    return context.get_current() is before


def test_a_block_is_left_where_it_was_entered(captured: Capture) -> None:
    assert left_in(lambda leave: leave())
    assert [span.name for span in captured.spans] == ["step"]


def in_a_thread(act: Callable[[], None]) -> None:
    with ThreadPoolExecutor(1) as executor:
        executor.submit(act).result()


ELSEWHERE: dict[str, Callable[[Callable[[], None]], object]] = {
    "a thread": in_a_thread,
    "a copy of the context": lambda leave: contextvars.copy_context().run(leave),
    "an empty context": lambda leave: contextvars.Context().run(leave),
}


@pytest.mark.parametrize("run", ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_block_may_be_left_elsewhere(captured: Capture, caplog: pytest.LogCaptureFixture, run: Any) -> None:
    contextvars.copy_context().run(left_in, run)

    assert [span.name for span in captured.spans] == ["step"]
    assert caplog.records == []


def test_a_copy_of_the_context_is_outside_a_block_that_is_left_there(captured: Capture) -> None:
    seen: list[trace.Span] = []

    def leave_and_look(leave: Callable[[], None]) -> None:
        leave()
        seen.append(trace.get_current_span())

    contextvars.copy_context().run(left_in, lambda leave: contextvars.copy_context().run(leave_and_look, leave))
    assert seen == [trace.INVALID_SPAN]


def test_what_an_app_attached_in_a_block_goes_with_it(captured: Capture) -> None:
    before = context.get_current()
    with Block("step", {}):
        context.attach(baggage.set_baggage("school", "1"))

    assert context.get_current() is before


def test_one_block_may_be_used_again_and_inside_itself(captured: Capture) -> None:
    block = Block("step", {})
    with block, block:
        pass
    with block:
        pass
    block.__exit__(None, None, None)  # once too often

    outer, inner = captured.spans[1], captured.spans[0]
    assert len(captured.spans) == 3
    assert inner.parent == outer.context


def test_an_async_generator_may_be_closed_by_another_task(captured: Capture, caplog: pytest.LogCaptureFixture) -> None:
    async def pages() -> AsyncIterator[int]:
        with Block("step", {}):
            yield 1
            yield 2

    async def read() -> None:
        running = pages()
        await anext(running)
        await asyncio.create_task(running.aclose())  # type: ignore[attr-defined]  # it is a generator

    asyncio.run(read())
    assert [span.status.status_code for span in captured.spans] == [StatusCode.UNSET]
    assert caplog.records == []
