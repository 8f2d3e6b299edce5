"""One operation: one span, one clock, one end."""

import asyncio

import pytest
from opentelemetry import trace
from opentelemetry.trace import StatusCode

from otel_tutor.recording.operation import Operation, current_operation, was_cancelled
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
