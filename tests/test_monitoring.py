"""The recording calls, as an app would make them."""

import asyncio
import math
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

import otel_tutor
from otel_tutor.catalogue import SUBJECT, TOPIC
from otel_tutor.monitoring import metrics_collector, track_async_time, track_time
from otel_tutor.recording.instruments import OTHER
from otel_tutor.testing import Capture, FrozenClock, Point


def only(points: list[Point]) -> Point:
    (point,) = points
    return point


def test_a_rag_query_is_recorded_by_subject_and_outcome(captured: Capture) -> None:
    metrics_collector.track_rag_query("physics", 0.2, 5, generation_duration=1.5)

    metrics = captured.read_metrics()
    assert only(metrics["rag.queries"]).attributes == {"tutor.subject": "physics", "tutor.outcome": "success"}
    retrieval = only(metrics["rag.retrieval.duration"])
    assert (retrieval.sum, retrieval.attributes) == (0.2, {"tutor.subject": "physics"})
    assert only(metrics["rag.context.documents"]).sum == 5
    assert only(metrics["rag.generation.duration"]).sum == 1.5


def test_a_failed_query_has_no_generation(captured: Capture) -> None:
    metrics_collector.track_rag_query("physics", 0.2, 0, status="error")

    metrics = captured.read_metrics()
    assert only(metrics["rag.queries"]).attributes["tutor.outcome"] == "error"
    assert metrics["rag.context.documents"][0].count == 1
    assert "rag.generation.duration" not in metrics


def test_an_inference_is_recorded_with_the_tokens_it_read_and_wrote(captured: Capture) -> None:
    metrics_collector.track_model_inference("lsa", "int8", 0.5, 120, 30, "success")

    metrics = captured.read_metrics()
    assert only(metrics["gen_ai.client.operation.duration"]).sum == 0.5
    tokens = {point.attributes["gen_ai.token.type"]: point.sum for point in metrics["gen_ai.client.token.usage"]}
    assert tokens == {"input": 120, "output": 30}


def test_students_are_counted(captured: Capture) -> None:
    metrics_collector.track_student_activity("physics", "optics")
    metrics_collector.track_practice_answer("physics", True)
    metrics_collector.set_active_sessions(3)
    metrics_collector.set_model_memory("lsa", 1024)

    metrics = captured.read_metrics()
    assert only(metrics["student.questions"]).attributes == {"tutor.subject": "physics", "tutor.topic": "optics"}
    assert only(metrics["student.practice.answers"]).attributes["tutor.answer.correct"] == "true"
    assert only(metrics["student.sessions.active"]).value == 3
    assert only(metrics["model.memory.usage"]).value == 1024


@pytest.mark.parametrize("duration", [-1.0, math.nan, math.inf, None, "long", 10**400])
def test_a_duration_that_is_none_is_left_out_and_raises_nothing(captured: Capture, duration: Any) -> None:
    metrics_collector.track_model_inference("lsa", "int8", duration, 1, 1, "success")

    metrics = captured.read_metrics()
    assert "gen_ai.client.operation.duration" not in metrics
    assert len(metrics["gen_ai.client.token.usage"]) == 2


@pytest.mark.parametrize("subject", [None, "", "x" * 10_000, 7, object(), ["physics"]])
def test_any_subject_is_taken(captured: Capture, subject: Any) -> None:
    metrics_collector.track_rag_query(subject, 0.1, 1)

    label = only(captured.read_metrics()["rag.retrieval.duration"]).attributes["tutor.subject"]
    assert isinstance(label, str)
    assert 0 < len(label) <= 100


def test_thousands_of_topics_make_a_bounded_number_of_series(captured: Capture) -> None:
    for number in range(3 * TOPIC.limit):
        metrics_collector.track_student_activity("many topics", f"topic {number}")

    points = captured.read_metrics()["student.questions"]
    assert len(points) <= TOPIC.limit + 1
    assert sum(point.value or 0 for point in points) == 3 * TOPIC.limit
    assert any(point.attributes["tutor.topic"] == OTHER for point in points)
    assert SUBJECT.limit < TOPIC.limit


def test_functions_are_timed_with_their_labels(captured: Capture) -> None:
    @track_time("custom_operation", {"component": "rag"})
    def work(value: int) -> int:
        return value + 1

    assert work(1) == 2
    assert only(captured.read_metrics()["custom_operation.duration"]).attributes == {"component": "rag"}


def test_coroutine_functions_are_timed_over_their_awaits(captured: Capture) -> None:
    @track_async_time("waiting")
    async def wait(clock: FrozenClock) -> None:
        await asyncio.sleep(0)
        clock.advance(0.05)
        raise KeyError("late")

    with captured.frozen() as clock, pytest.raises(KeyError):
        asyncio.run(wait(clock))
    assert only(captured.read_metrics()["waiting.duration"]).sum == pytest.approx(0.05)


def test_a_sync_is_recorded_with_the_records_it_moved(captured: Capture) -> None:
    metrics_collector.track_sync(2.5, records={"question": 3, "session": 2})
    metrics_collector.set_sync_queue_size(7)

    metrics = captured.read_metrics()
    assert only(metrics["sync.operations"]).attributes == {"tutor.outcome": "success"}
    assert only(metrics["sync.duration"]).sum == 2.5
    moved = {point.attributes["tutor.record.type"]: point.value for point in metrics["sync.records"]}
    assert moved == {"question": 3, "session": 2}
    assert only(metrics["sync.queue.size"]).value == 7


def test_the_vector_store_is_recorded_by_collection(captured: Capture) -> None:
    metrics_collector.track_vector_search("passages", 0.004)
    metrics_collector.set_vector_documents("passages", 427)

    metrics = captured.read_metrics()
    assert only(metrics["vector_store.searches"]).attributes == {"tutor.collection": "passages", "tutor.outcome": "success"}
    assert only(metrics["vector_store.search.duration"]).attributes == {"tutor.collection": "passages"}
    assert only(metrics["vector_store.documents"]).value == 427


def test_the_host_is_measured_at_every_export(captured: Capture) -> None:
    metrics_collector.update_system_metrics()

    metrics = captured.read_metrics()
    assert 0 <= (only(metrics["system.cpu.usage"]).value or 0) <= 100
    assert 0 < (only(metrics["system.memory.usage"]).value or 0) <= psutil.virtual_memory().total
    assert only(metrics["system.disk.usage"]).attributes == {"tutor.disk.path": "/"}


@pytest.fixture
def two_topics() -> Iterator[None]:
    otel_tutor.configure(cardinality_limits={TOPIC.key: 2})
    yield
    otel_tutor.configure()


def test_an_apps_own_limit_is_the_one_that_counts(captured: Capture, two_topics: None) -> None:
    for topic in ("optics", "waves", "heat"):
        metrics_collector.track_student_activity("physics", topic)

    assert captured.value("student_questions_total", topic="waves") == 1
    assert captured.value("student_questions_total", topic=OTHER) == 1
    assert captured.value("telemetry_attribute_folded_total", attribute=TOPIC.key) == 1


def test_values_beyond_an_attributes_bound_are_folded_and_that_is_counted(captured: Capture) -> None:
    for number in range(60):
        metrics_collector.track_student_activity(f"subject {number}", "x" * 200)

    metrics = captured.read_metrics()
    assert {point.attributes["tutor.subject"] for point in metrics["student.questions"]} >= {"subject 0", "_OTHER"}
    folded = {point.attributes["otel_tutor.attribute.key"]: point.value for point in metrics["otel_tutor.attribute.folded"]}
    assert (folded["tutor.subject"], folded["tutor.topic"], folded["http.route"]) == (10, 60, 0)
