"""The recording calls, as an app would make them."""

import asyncio
import math
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from fractions import Fraction
from typing import Any

import numpy
import psutil
import pytest

import otel_tutor
from otel_tutor import catalogue
from otel_tutor.catalogue import SUBJECT, TOPIC
from otel_tutor.monitoring import metrics_collector, track_async_time, track_time
from otel_tutor.rag import observe_question
from otel_tutor.recording.instruments import OTHER
from otel_tutor.testing import Capture, FrozenClock, Point
from otel_tutor.tracing import rag_tracer
from tests.support.hostile import HOSTILE


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


class Subject(Enum):
    PHYSICS = "physics"


class Status(StrEnum):
    SUCCESS = "success"


class Lazy:
    def __str__(self) -> str:
        return "physics"


ODD_DURATIONS: list[Any] = [None, math.nan, -0.1, "0.3", math.inf, object(), 10**400]
REAL_DURATIONS: list[Any] = [0.25, numpy.float32(0.25), numpy.float64(0.25), Decimal("0.25"), Fraction(1, 4)]
REAL_DURATIONS += [timedelta(milliseconds=250), numpy.array(0.25)]


def track(duration: Any, status: str = "success") -> None:
    """One attempt of each kind."""
    metrics_collector.track_rag_query("physics", duration, 3, status=status)
    metrics_collector.track_model_inference("llama", "q4", duration, 1, 1, status)
    metrics_collector.track_sync(duration, status)
    metrics_collector.track_vector_search("passages", duration, status)


TOTALS = ["rag_queries_total", "model_inference_total", "sync_operations_total", "vector_store_search_total"]
LATENCIES = [
    "rag_retrieval_duration_seconds",
    "model_inference_duration_seconds",
    "sync_duration_seconds",
    "vector_store_search_duration_seconds",
]


@pytest.mark.parametrize("duration", ODD_DURATIONS, ids=lambda duration: type(duration).__name__)
def test_an_attempt_is_counted_though_its_duration_is_none(captured: Capture, duration: Any) -> None:
    track(duration)

    assert [captured.value(total, status="success") for total in TOTALS] == [1] * 4
    assert [captured.count(latency) for latency in LATENCIES] == [0] * 4
    assert captured.value("otel_tutor_measurements_invalid_total") == 4
    assert captured.value("otel_tutor_measurements_invalid_total", instrument="rag.retrieval.duration") == 1


@pytest.mark.parametrize("duration", REAL_DURATIONS, ids=lambda duration: type(duration).__name__)
def test_a_duration_may_be_any_real_number(captured: Capture, duration: Any) -> None:
    track(duration)

    assert [captured.value(total) for total in TOTALS] == [1] * 4
    assert [captured.sum(latency) for latency in LATENCIES] == [0.25] * 4
    assert captured.value("otel_tutor_measurements_invalid_total") == 0


@pytest.mark.parametrize("status", ["failed", "error", "timeout", "refused", "cancelled", None, 5])
def test_the_duration_of_what_is_no_success_is_no_latency(captured: Capture, status: Any) -> None:
    track(0, status)
    track(30.0, status)

    assert [captured.value(total) for total in TOTALS] == [2] * 4
    assert [captured.value(total, status="success") for total in TOTALS] == [0] * 4
    assert [captured.count(latency) for latency in LATENCIES] == [0] * 4
    assert captured.sum("gen_ai_client_operation_duration_seconds", status=status) == 30.0  # there it says how it ended


def test_the_example_that_users_start_from_counts_a_failure_and_measures_nothing(captured: Capture) -> None:
    def ask() -> None:
        try:
            with rag_tracer.trace_rag_query("why?", "physics"):
                raise LookupError("the index is gone")
        except Exception:
            metrics_collector.track_rag_query(subject="physics", retrieval_duration=0, num_documents=0, status="failed")
            raise

    with pytest.raises(LookupError):
        ask()

    assert captured.value("rag_queries_total", subject="physics", status="failed") == 1
    assert captured.value("rag_queries_total") == 1
    assert captured.count("rag_retrieval_duration_seconds") == 0
    assert captured.count("rag_generation_duration_seconds") == 0


def test_an_invalid_value_is_logged_once_for_its_instrument_and_without_its_text(
    captured: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    for duration in ("am I stupid?", -1.0, None):
        metrics_collector.track_sync(duration)  # type: ignore[arg-type]  # what an app may get wrong
        metrics_collector.set_active_sessions(-3)

    lines = [record.getMessage() for record in caplog.records if record.name == "otel_tutor"]
    assert [line.partition(":")[0] for line in lines] == ["sync.duration", "student.sessions.active"]
    assert "a value of type str" in lines[0]
    assert "stupid" not in " ".join(lines)
    assert captured.value("otel_tutor_measurements_invalid_total", instrument="sync.duration") == 3


def test_every_instrument_that_an_app_gives_values_for_counts_its_invalid_ones(captured: Capture) -> None:
    metrics_collector.track_rag_query("physics", -1, "many", [])  # type: ignore[arg-type]
    metrics_collector.track_model_inference("llama", "q4", math.nan, "few", -1, "success")  # type: ignore[arg-type]
    metrics_collector.track_sync(-1, records={"answer": math.inf, "question": 2})  # type: ignore[dict-item]
    metrics_collector.track_vector_search("passages", -1)
    for state_number in (metrics_collector.set_active_sessions, metrics_collector.set_sync_queue_size):
        state_number("many")  # type: ignore[arg-type]
    metrics_collector.set_model_memory("llama", -1)
    metrics_collector.set_vector_documents("passages", None)  # type: ignore[arg-type]
    with observe_question("Why?", "physics") as question, question.retrieval() as retrieval:
        question.cited, retrieval.score = -1, math.nan
        question.feedback(score=-1)

    points = captured.read_metrics()["otel_tutor.measurements.invalid"]
    counts = {point.attributes["otel_tutor.instrument.name"]: point.value for point in points}
    assert counts == {row.name: 2 if row is catalogue.MODEL_TOKENS else 1 for row in catalogue.FROM_APP}


def test_of_a_failure_only_what_is_used_can_be_invalid(captured: Capture) -> None:
    metrics_collector.track_rag_query("physics", None, 0, None, "failed")  # type: ignore[arg-type]
    metrics_collector.track_model_inference("llama", "q4", None, None, None, "failed")  # type: ignore[arg-type]

    assert captured.value("otel_tutor_measurements_invalid_total") == 0


def test_text_of_any_kind_is_the_same_series(captured: Capture) -> None:
    for subject in ("physics", Subject.PHYSICS, Lazy(), b"physics", numpy.str_("physics")):
        metrics_collector.track_rag_query(subject, 0.1, 3, status=Status.SUCCESS)  # type: ignore[arg-type]

    assert captured.value("rag_queries_total", subject="physics", status="success") == 5
    assert captured.value("rag_queries_total", subject=Subject.PHYSICS, status=Status.SUCCESS) == 5
    assert captured.count("rag_retrieval_duration_seconds", subject=Lazy()) == 5


def test_words_for_failures_do_not_use_up_the_words_that_rules_know(captured: Capture) -> None:
    for number in range(50):
        metrics_collector.track_sync(1.0, f"failure {number}")
    for status in ("success", "cancelled", "error"):
        metrics_collector.track_sync(1.0, status)
        assert captured.value("sync_operations_total", status=status) == 1

    assert captured.count("sync_duration_seconds") == 1
    assert captured.value("sync_operations_total") == 53


def test_a_value_far_beyond_the_others_does_not_widen_the_buckets_of_a_histogram(captured: Capture) -> None:
    for duration in (0.1, 1e300, 5e-324, 2**1000):
        metrics_collector.track_sync(duration)

    assert (captured.count("sync_duration_seconds"), captured.sum("sync_duration_seconds")) == (2, 0.1)
    assert captured.value("otel_tutor_measurements_invalid_total", instrument="sync.duration") == 2


@pytest.mark.parametrize("records", [None, 5, "text", [("answer", 2)], {"answer": numpy.int64(2)}, HOSTILE["items"]])
def test_a_sync_is_counted_whatever_its_records_are(captured: Capture, records: Any) -> None:
    metrics_collector.track_sync(1.0, records=records)

    assert captured.value("sync_operations_total", status="success") == 1
    assert captured.value("sync_records_processed_total", record_type="answer") in {0, 2}


def test_an_answer_is_counted_whatever_says_whether_it_is_right(captured: Capture) -> None:
    odd: list[Any] = [True, numpy.bool_(True), 0, numpy.array([1, 2]), HOSTILE["everything"]]
    for correct in odd:
        metrics_collector.track_practice_answer("physics", correct)

    assert captured.value("student_practice_answers_total", correct=True) == 2
    assert captured.value("student_practice_answers_total", correct=False) == 3
