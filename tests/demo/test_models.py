"""The tutor's second model: asked over HTTP with OpenAI's client, observed as the first is."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from otel_tutor.demo.corpus import read_questions
from otel_tutor.demo.models import is_for_remote
from otel_tutor.testing import Capture

REMOTE = "When does an AND gate output 1?"
SHIP = "Why does a steel ship float?"
CHAT = "tutor-chat-1"


def account(client: TestClient) -> dict[str, dict[str, int]]:
    """Calls by status, tokens by type."""
    read = client.get("/model/account").json()
    assert {row["model"] for table in read.values() for row in table} <= {CHAT}
    return {
        "calls": {row["status"]: row["count"] for row in read["calls"]},
        "tokens": {row["type"]: row["count"] for row in read["tokens"]},
    }


def measured(captured: Capture) -> dict[str, Any]:
    """Calls by outcome, tokens by type, of the second model."""
    metrics = captured.read_metrics()
    of_chat = {
        name: [point for point in metrics.get(name, []) if point.attributes["gen_ai.request.model"] == CHAT]
        for name in ("gen_ai.client.operation.duration", "gen_ai.client.token.usage")
    }
    return {
        "calls": {p.attributes["tutor.outcome"]: p.count for p in of_chat["gen_ai.client.operation.duration"]},
        "tokens": {p.attributes["gen_ai.token.type"]: p.sum for p in of_chat["gen_ai.client.token.usage"]},
    }


def test_about_every_fourth_question_of_the_corpus_is_for_the_second_model() -> None:
    questions = [question.text for question in read_questions()]
    remote = [question for question in questions if is_for_remote(question)]

    assert len(questions) / 5 < len(remote) < len(questions) / 3


@pytest.mark.parametrize("path", ["/ask", "/ask/stream"])
def test_its_calls_and_tokens_are_those_of_the_servers_account(client: TestClient, captured: Capture, path: str) -> None:
    for question in (REMOTE, REMOTE, SHIP):
        assert client.post(f"{path}?model={CHAT}", json={"question": question}).text
    served, seen = account(client), measured(captured)

    assert served["calls"] == {"200": 3}
    assert seen == {"calls": {"success": 3}, "tokens": served["tokens"]}
    assert [span.name for span in captured.spans if span.name.startswith("chat")] == [f"chat {CHAT}"] * 3
    lines = [record for record in captured.logs if record.log_record.trace_id and not record.log_record.event_name]
    assert len(lines) == 3  # one for each question


def test_a_question_has_the_model_of_its_text_or_the_one_that_is_named(client: TestClient) -> None:
    chosen = [client.post("/ask", json={"question": question}).json()["model"] for question in (REMOTE, SHIP, REMOTE)]
    named = [client.post(f"/ask?model={name}", json={"question": SHIP}).json() for name in (CHAT, "tutor-lsa-128")]
    unknown = client.post("/ask?model=gpt-x", json={"question": SHIP})

    assert chosen == [CHAT, "tutor-lsa-128", CHAT]
    assert [reply["model"] for reply in named] == [CHAT, "tutor-lsa-128"]
    assert named[0]["sources"]
    assert named[0]["answer"] == named[1]["answer"]  # of the same passages, by the same rules
    assert unknown.status_code == 422
    assert unknown.json()["error"] == "The model is unknown; the known ones are tutor-lsa-128, tutor-chat-1."


def test_its_failures_are_a_bad_gateway_after_all_attempts(client: TestClient, captured: Capture) -> None:
    client.put("/faults/failing_generation", json={"on": True})
    failed = [client.post(f"{path}?model={CHAT}", json={"question": SHIP}) for path in ("/ask", "/ask/stream")]
    events = [event for span in captured.spans if span.name == f"chat {CHAT}" for event in span.events]
    errors = [event.attributes["exception.type"] for event in events if event.attributes and event.name == "exception"]
    attempts = [event for event in events if event.name == "attempt failed"]

    assert [response.status_code for response in failed] == [502, 502]
    assert failed[0].json()["error"].startswith("No answer could be written: Error code: 500")
    assert errors == ["openai.InternalServerError"] * 2
    assert len(attempts) == 2 * 3
    assert account(client)["calls"] == {"500": 2 * 3}
    assert measured(captured)["calls"] == {"error": 2}


def test_feedback_on_an_answer_is_in_its_trace(client: TestClient, captured: Capture) -> None:
    reply = client.post("/ask", json={"question": SHIP}).json()
    sent = {"reference": reply["reference"], "helped": True, "subject": reply["subject"]}

    assert client.post("/feedback", json=sent).status_code == 204
    records = [record.log_record for record in captured.logs if record.log_record.event_name]
    names = [(record.attributes or {})["gen_ai.evaluation.name"] for record in records]
    assert names == ["relevance", "user_feedback"]
    assert {f"{record.trace_id:032x}" for record in records} == {reply["trace_id"]}
    assert client.post("/feedback", json={**sent, "subject": "alchemy"}).status_code == 422


def test_a_question_without_passages_is_not_sent_to_it(client: TestClient) -> None:
    response = client.post(f"/ask?model={CHAT}", json={"question": "zzzz qqqq"})

    assert response.status_code == 502
    assert "no sentence of the 0 passages found" in response.json()["error"]
    assert account(client)["calls"] == {}


def test_neither_question_nor_answer_is_in_its_telemetry(client: TestClient, captured: Capture) -> None:
    answer = client.post(f"/ask?model={CHAT}", json={"question": SHIP}).json()["answer"]
    client.put("/faults/failing_generation", json={"on": True})
    client.post(f"/ask?model={CHAT}", json={"question": SHIP})
    recorded = " ".join([*(span.to_json() for span in captured.spans), *(record.to_json() for record in captured.logs)])

    assert "ship" not in recorded.lower()
    assert answer[:20] not in recorded


def test_a_conversation_may_reach_it(client: TestClient) -> None:
    with client.websocket_connect("/live") as socket:
        socket.send_text(REMOTE)
        assert socket.receive_json()["model"] == CHAT
        client.put("/faults/failing_generation", json={"on": True})
        socket.send_text(REMOTE)
        assert "Error code: 500" in socket.receive_json()["error"]
