"""What a question leaves in traces, metrics and logs, and what it must not."""

import pytest
from starlette.testclient import TestClient

from otel_tutor.testing import Capture

SHIP = "Why does a steel ship float?"


def tree(captured: Capture) -> dict[str, str | None]:
    """The name of each span's parent by its own name, statements of the database left out."""
    steps = [span for span in captured.spans if not any(key.startswith("db.") for key in span.attributes or {})]
    spans = {span.context.span_id: span for span in steps if span.context}
    return {
        span.name: spans[span.parent.span_id].name if span.parent and span.parent.span_id in spans else None
        for span in spans.values()
    }


def test_a_question_is_one_trace_from_the_request_to_the_model(captured: Capture, client: TestClient) -> None:
    reply = client.post("/ask", json={"question": SHIP}).json()

    assert tree(captured) == {
        "POST /ask": None,
        "rag.query": "POST /ask",
        "rag.retrieval": "rag.query",
        "rag.generation": "rag.query",
        "chat tutor-lsa-128": "rag.generation",
    }
    assert {f"{span.context.trace_id:032x}" for span in captured.spans if span.context} == {reply["trace_id"]}


def test_an_answered_question_is_measured_once_in_every_series(captured: Capture, client: TestClient) -> None:
    client.post("/ask", json={"question": SHIP})
    metrics = captured.read_metrics()
    physics = {"tutor.subject": "physics"}

    assert [(point.attributes, point.count) for point in metrics["rag.retrieval.duration"]] == [(physics, 1)]
    assert [(point.attributes["tutor.outcome"], point.value) for point in metrics["rag.queries"]] == [("success", 1)]
    assert [(point.attributes, point.sum) for point in metrics["rag.context.documents"]] == [(physics, 5)]
    assert [(point.attributes, point.count) for point in metrics["rag.generation.duration"]] == [(physics, 1)]
    assert [point.attributes["tutor.outcome"] for point in metrics["gen_ai.client.operation.duration"]] == ["success"]
    assert [(point.attributes, point.value) for point in metrics["student.questions"]] == [
        ({**physics, "tutor.topic": "density_and_pressure"}, 1)
    ]


@pytest.mark.parametrize(("fault", "documents"), [("failing_generation", 5), ("dead_database", 0)])
def test_a_failed_question_counts_as_asked_and_as_failed(
    client: TestClient, captured: Capture, fault: str, documents: int
) -> None:
    client.put(f"/faults/{fault}", json={"on": True})
    client.post("/ask", json={"question": SHIP, "subject": "physics"})
    metrics = captured.read_metrics()

    assert [point.attributes["tutor.outcome"] for point in metrics["rag.queries"]] == ["error"]
    assert [point.sum for point in metrics["rag.context.documents"]] == [documents]
    assert [(point.attributes["tutor.subject"], point.value) for point in metrics["student.questions"]] == [("physics", 1)]
    assert not metrics.get("rag.generation.duration")


def test_neither_question_nor_answer_is_in_any_span_or_log_record(captured: Capture, client: TestClient) -> None:
    answer = client.post("/ask", json={"question": SHIP}).json()["answer"]
    client.put("/faults/dead_database", json={"on": True})
    client.post("/ask", json={"question": SHIP})
    told = " ".join([*(span.to_json() for span in captured.spans), *(record.to_json() for record in captured.logs)])

    assert len(captured.spans) > 5
    assert "ship" not in told.lower()
    assert answer[:20] not in told


def test_one_log_line_inside_the_trace_says_what_a_question_came_to(captured: Capture, client: TestClient) -> None:
    reply = client.post("/ask", json={"question": SHIP}).json()
    (record,) = [one.log_record for one in captured.logs if "question ended" in str(one.log_record.body)]

    assert record.severity_text == "INFO"
    assert f"{record.trace_id:032x}" == reply["trace_id"]
    assert "subject=physics topic=density_and_pressure documents=5 milliseconds=" in str(record.body)


def test_practice_sessions_and_the_model_are_measured(captured: Capture, client: TestClient) -> None:
    client.post("/practice/biology/answers", json={"item": 1, "answer": "amylase"})
    metrics = captured.read_metrics()

    assert [(point.attributes, point.value) for point in metrics["student.practice.answers"]] == [
        ({"tutor.subject": "biology", "tutor.answer.correct": "true"}, 1)
    ]
    assert [point.value for point in metrics["student.sessions.active"]] == [0]
    (memory,) = metrics["model.memory.usage"]
    assert memory.attributes == {"gen_ai.request.model": "tutor-lsa-128"}
    assert memory.value is not None
    assert memory.value > 300_000


def test_a_streamed_answer_is_measured_as_an_answer_and_to_its_first_sentence(captured: Capture, client: TestClient) -> None:
    whole = client.post("/ask", json={"question": SHIP}).json()["answer"]
    captured.clear()
    streamed = client.post("/ask/stream", json={"question": SHIP})
    metrics = captured.read_metrics()

    assert sorted(streamed.text.split()) == sorted(whole.split())
    assert tree(captured)["chat tutor-lsa-128"] == "rag.generation"
    assert [point.attributes["tutor.outcome"] for point in metrics["rag.queries"]] == ["success"]
    assert [point.count for point in metrics["gen_ai.client.operation.time_to_first_chunk"]] == [1]
    assert len([one for one in captured.logs if "question ended in success" in str(one.log_record.body)]) == 1


def test_a_streamed_answer_that_cannot_be_written_is_an_error_from_the_start(captured: Capture, client: TestClient) -> None:
    client.put("/faults/failing_generation", json={"on": True})
    response = client.post("/ask/stream", json={"question": SHIP})

    assert response.status_code == 502
    assert [point.attributes["tutor.outcome"] for point in captured.read_metrics()["rag.queries"]] == ["error"]


def test_questions_may_be_asked_over_a_websocket(captured: Capture, client: TestClient) -> None:
    with client.websocket_connect("/live") as socket:
        socket.send_text(SHIP)
        assert socket.receive_json()["subject"] == "physics"
        socket.send_text("")
        assert "error" in socket.receive_json()

    assert [point.value for point in captured.read_metrics()["student.questions"]] == [1]
