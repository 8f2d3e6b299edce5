"""The parts of the boundary, one by one."""

import logging
import threading

import pytest

from otel_tutor.recording.guard import attempt, log_internal_error, never_raise
from otel_tutor.recording.rate_limit import RateLimit
from otel_tutor.recording.state import state
from otel_tutor.testing import Capture


def divide(number: int, by: int = 1) -> float:
    return number / by


def test_an_attempt_returns_what_its_function_returns_or_none(captured: Capture) -> None:
    assert attempt(divide, 6, by=3) == 2
    assert attempt(divide, 6, by=0) is None
    assert state.internal_errors == 1


def test_a_function_that_never_raises_keeps_its_name_and_its_sentence(captured: Capture) -> None:
    def work() -> None:
        """Work."""
        raise RuntimeError("broken")

    guarded = never_raise(work)

    guarded()
    assert (guarded.__name__, guarded.__doc__) == ("work", "Work.")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_process_is_not_kept_back(error: type[BaseException]) -> None:
    def stop() -> None:
        raise error

    with pytest.raises(error):
        never_raise(stop)()
    with pytest.raises(error):
        attempt(stop)


def test_a_failure_is_named_by_its_class_and_text(captured: Capture, caplog: pytest.LogCaptureFixture) -> None:
    log_internal_error(KeyError("tutor.topics"))

    (record,) = caplog.records
    assert (record.name, record.levelno) == ("otel_tutor", logging.WARNING)
    assert record.getMessage().endswith("KeyError: 'tutor.topics'")


def test_a_rate_limit_opens_once_a_minute() -> None:
    times = iter([1000.0, 1000.1, 1059.9, 1060.0, 1060.1, 1200.0])
    may = RateLimit(lambda: next(times))

    assert [may() for _ in range(6)] == [True, False, False, True, False, True]


def test_of_threads_that_ask_together_one_may() -> None:
    may, together, answers = RateLimit(lambda: 0.0), threading.Barrier(8), list[bool]()

    def ask() -> None:
        together.wait()
        answers.append(may())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers.count(True) == 1
