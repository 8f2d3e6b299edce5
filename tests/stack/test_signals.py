"""One question, found again in every backend by the same trace id."""

import asyncio

import httpx2
import pytest

from otel_tutor.tools.exercise.load import run_load
from otel_tutor.tools.exercise.report import STEPS
from otel_tutor.tools.stack.backends import Span
from otel_tutor.tools.stack.polling import wait_for
from otel_tutor.tools.stack.traces import gaps
from tests.support.stack import Running

ARRIVAL = 120  # seconds; a machine may be busy


@pytest.fixture(scope="module")
def trace_id(running: Running) -> str:
    answer = httpx2.post(f"{running.app}/ask", json={"question": "What is a fraction?", "subject": "mathematics"})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["trace_id"])


@pytest.fixture(scope="module")
def trace(running: Running, trace_id: str) -> dict[str, Span]:
    spans = wait_for(lambda: running.backends.trace(trace_id), lambda spans: not gaps(spans, STEPS), seconds=ARRIVAL)
    return {span.name: span for span in spans}


@pytest.mark.parametrize(
    "series",
    [
        'http_requests_total{method="POST",endpoint="/ask",status="200"}',
        'http_request_duration_seconds_count{method="POST",endpoint="/ask"}',
        'rag_queries_total{subject="mathematics",status="success"}',
        'rag_retrieval_duration_seconds_count{subject="mathematics"}',
        'rag_context_documents_count{subject="mathematics"}',
        'rag_generation_duration_seconds_count{subject="mathematics"}',
        'model_inference_total{status="success",quantization_type="int8"}',
        'model_token_count_count{type="output"}',
        'student_questions_total{subject="mathematics",topic="fractions"}',
    ],
)
def test_the_question_is_counted_in_prometheus(running: Running, trace_id: str, series: str) -> None:
    samples = wait_for(lambda: running.backends.query(series), bool, seconds=ARRIVAL)

    assert sum(sample.value for sample in samples) == 1
    assert {sample.labels["job"] for sample in samples} == {"tutor"}


def test_the_question_is_a_trace_in_jaeger_with_its_steps_under_the_request(trace: dict[str, Span]) -> None:
    parents = {"rag.query": "POST /ask", "rag.retrieval": "rag.query", "rag.generation": "rag.query"}
    parents["chat tutor-lsa-128"] = "rag.generation"

    assert {name: trace[name].parent_id for name in parents} == {
        name: trace[parent].span_id for name, parent in parents.items()
    }
    assert trace["POST /ask"].parent_id is None
    assert any("db.query.text" in span.tags for span in trace.values())


def test_the_trace_holds_no_word_of_the_question(running: Running, trace: dict[str, Span], trace_id: str) -> None:
    kept = str(trace) + str(running.backends.logs_of_trace(trace_id))

    assert "What is a fraction" not in kept


def test_the_question_left_a_log_line_with_its_trace(running: Running, trace_id: str) -> None:
    records = wait_for(lambda: running.backends.logs_of_trace(trace_id), lambda found: len(found) == 2, seconds=ARRIVAL)

    event, record = sorted(records, key=lambda record: "subject=" in record["_msg"])
    assert event["_msg"] == "gen_ai.evaluation.result"
    assert "subject=mathematics" in record["_msg"]
    assert record["service.name"] == "tutor"
    assert len(record["span_id"]) == 16


def test_the_servers_own_messages_arrive_but_not_its_access_log(running: Running, trace_id: str) -> None:
    query = 'service.name:="tutor" "Application startup complete."'
    records = wait_for(lambda: running.backends.logs(query), lambda records: len(records) == 2, seconds=ARRIVAL)

    assert len({record["service.instance.id"] for record in records}) == 2
    assert running.backends.logs('"HTTP/1.1"') == []


@pytest.mark.parametrize(
    "family", ["http_request_duration_seconds", "rag_retrieval_duration_seconds", "model_inference_duration_seconds"]
)
def test_an_exemplar_leads_from_a_bucket_to_the_trace(running: Running, trace_id: str, family: str) -> None:
    exemplars = wait_for(lambda: running.backends.exemplars(f"{family}_bucket"), bool, seconds=ARRIVAL)

    assert trace_id in {exemplar.trace_id for exemplar in exemplars}
    assert all(running.backends.trace(exemplar.trace_id) for exemplar in exemplars)


def test_every_exemplar_of_every_histogram_leads_to_a_trace(running: Running, trace_id: str) -> None:
    asyncio.run(run_load(running.app, requests=60))
    everything = '{job="tutor",__name__=~".+_bucket"}'
    traces = wait_for(
        lambda: {exemplar.trace_id for exemplar in running.backends.exemplars(everything)},
        lambda ids: len(ids) > 20,
        seconds=ARRIVAL,
    )
    resolved = wait_for(lambda: {trace for trace in traces if running.backends.trace(trace)}, traces.__eq__, seconds=ARRIVAL)

    assert len(traces) > 20
    assert resolved == traces
