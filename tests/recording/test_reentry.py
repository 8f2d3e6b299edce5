"""What interrupts a thread that may hold a lock is recorded once that is done."""

import os
import threading

import pytest

from otel_tutor.recording.reentry import apart, catch_up, held
from otel_tutor.recording.state import state
from otel_tutor.testing import Capture


def test_what_interrupts_comes_after_what_it_interrupts() -> None:
    said: list[str] = []

    def outer() -> None:
        apart(lambda: said.append("inside"))
        said.append("outside")

    apart(outer)

    assert said == ["outside", "inside"]


def test_another_thread_does_not_wait() -> None:
    said: list[str] = []
    with held():
        thread = threading.Thread(target=apart, args=(lambda: said.append("other"),))
        thread.start()
        thread.join()

    assert said == ["other"]


def test_what_was_put_off_is_made_up_for_at_the_next_export(captured: Capture) -> None:
    from otel_tutor.monitoring import metrics_collector

    with held():
        metrics_collector.track_student_activity("physics", "put off")

    assert captured.value("student_questions_total", topic="put off") == 1


def test_a_failure_of_what_was_put_off_is_that_of_telemetry(captured: Capture) -> None:
    with held():
        apart(lambda: 1 / 0)
    catch_up()

    assert state.internal_errors == 1


def test_after_the_end_nothing_waits_for_a_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(state, "has_ended", True)
    apart(lambda: said.append("late"))

    assert said == []


def test_a_child_waits_until_its_locks_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(state, "process", os.getpid() + 1)
    apart(lambda: said.append("early"))
    assert said == []

    monkeypatch.setattr(state, "process", os.getpid())
    catch_up()
    assert said == ["early"]
