"""The tutor over HTTP: answers, refusals and faults."""

import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from otel_tutor.demo.app import create_app
from otel_tutor.demo.faults import FAULTS
from otel_tutor.demo.settings import DATA_VARIABLE, Settings
from otel_tutor.testing import Capture

SHIP = "Why does a steel ship float?"
SUBJECTS = ["biology", "chemistry", "computing", "geography", "history", "mathematics", "physics"]


def switch(client: TestClient, name: str, on: bool) -> None:
    assert client.put(f"/faults/{name}", json={"on": on}).json()[name] is on


def test_a_question_gets_an_answer_with_its_sources_its_trace_and_its_times(client: TestClient) -> None:
    reply = client.post("/ask", json={"question": SHIP}).json()

    assert (reply["subject"], reply["topic"]) == ("physics", "density_and_pressure")
    assert "hull holds air" in reply["answer"]
    assert any("hull holds air" in source["text"] for source in reply["sources"])
    assert re.fullmatch("[0-9a-f]{32}", reply["trace_id"])
    assert set(reply["seconds"]) == {"retrieval", "generation"}
    assert min(reply["seconds"].values()) > 0


def test_a_question_about_a_named_subject_is_answered_from_it(client: TestClient) -> None:
    reply = client.post("/ask", json={"question": "What is a wave?", "subject": "geography"}).json()

    assert reply["subject"] == "geography"


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        (b"{", "must be a JSON object"),
        (b"[]", "must be a JSON object"),
        (b"\xff", "must be a JSON object"),
        (b"[" * 60_000, "must be a JSON object"),
        (b"{}", "'question' must be a text that is not blank"),
        (b'{"question": 3}', "'question' must be a text that is not blank"),
        (b'{"question": " "}', "'question' must be a text that is not blank"),
        (b'{"question": "%s"}' % (b"x" * 1001), "has 1001 characters; at most 1000 are taken"),
        (b'{"question": "\\ud800"}', "is no character"),
        (b'{"question": "a", "subject": "art"}', "the known ones are biology, chemistry"),
        (b'{"question": "a", "subject": ["art"]}', "The subject is unknown"),
        (b'{"question": "a", "session": "x"}', "'session' must be an identifier"),
    ],
)
def test_bad_input_is_refused_with_one_sentence(client: TestClient, sent: bytes, sentence: str) -> None:
    response = client.post("/ask", content=sent)

    assert response.status_code == 422
    assert sentence in response.json()["error"]


def test_a_body_without_measure_is_refused_unread(client: TestClient) -> None:
    assert client.post("/ask", content=b" " * 70_000).status_code == 413


def test_a_question_that_nothing_is_known_about_is_a_generation_failure(client: TestClient) -> None:
    response = client.post("/ask", json={"question": "zzzz qqqq"})

    assert response.status_code == 502
    assert response.json()["error"].startswith("No answer could be written: no sentence of the 0 passages")


def test_a_session_is_opened_used_and_ended_once(client: TestClient) -> None:
    opened = client.post("/sessions")
    session = opened.json()["session"]

    assert opened.status_code == 201
    assert client.post("/ask", json={"question": SHIP, "session": session}).status_code == 200
    assert [client.delete(f"/sessions/{session}").status_code for _ in range(2)] == [204, 404]


def test_practice_items_are_given_without_their_answers_and_marked(client: TestClient) -> None:
    item = client.get("/practice/biology").json()["items"][1]
    assert item == {"item": 1, "topic": "enzymes", "question": "Which enzyme breaks starch into sugars?"}

    answers = [
        client.post("/practice/biology/answers", json={"item": 1, "answer": answer}).json()
        for answer in ("Amylase", "lipase")
    ]
    assert answers == [{"correct": True}, {"correct": False}]


@pytest.mark.parametrize(
    ("subject", "sent"),
    [
        ("art", {"item": 0, "answer": "a"}),
        ("biology", {"item": 99, "answer": "a"}),
        ("biology", {"item": -1, "answer": "a"}),
        ("biology", {"item": "0", "answer": "a"}),
        ("biology", {"item": True, "answer": "a"}),
        ("biology", {"item": 0}),
    ],
)
def test_an_answer_to_no_practice_item_is_refused(client: TestClient, subject: str, sent: dict[str, object]) -> None:
    response = client.post(f"/practice/{subject}/answers", json=sent)

    assert response.status_code == 422
    assert client.get("/practice/art").status_code == 422


def test_what_happened_is_synced_to_the_central_database(client: TestClient) -> None:
    session = client.post("/sessions").json()["session"]
    client.post("/ask", json={"question": SHIP, "session": session})
    client.post("/practice/biology/answers", json={"item": 0, "answer": "nucleus"})
    client.delete(f"/sessions/{session}")
    synced = client.post("/sync").json()

    assert synced["records"] == {"session": 2, "question": 1, "practice_answer": 1}
    assert synced["remaining"] == 0


def test_subjects_and_the_page_can_be_read(client: TestClient) -> None:
    assert client.get("/subjects").json() == {"subjects": SUBJECTS}
    assert "<form>" in client.get("/").text
    assert client.get("/ask").json() == {"error": "Method Not Allowed"}


def test_slow_retrieval_takes_its_time_in_the_retrieval_step(client: TestClient) -> None:
    switch(client, "slow_retrieval", True)
    seconds = client.post("/ask", json={"question": SHIP}).json()["seconds"]

    assert seconds["retrieval"] > 0.8  # the fault sleeps that long


def test_failing_generation_is_a_bad_gateway(client: TestClient) -> None:
    switch(client, "failing_generation", True)
    assert client.post("/ask", json={"question": SHIP}).status_code == 502

    switch(client, "failing_generation", False)
    assert client.post("/ask", json={"question": SHIP}).status_code == 200


def test_a_full_outbox_grows_by_fifty_more_with_each_question(client: TestClient) -> None:
    switch(client, "full_outbox", True)
    client.post("/ask", json={"question": SHIP})
    refused = client.post("/sync")
    assert refused.status_code == 503
    assert refused.json()["error"].startswith("Nothing was moved: the central database refuses records")

    switch(client, "full_outbox", False)
    assert client.post("/sync").json()["records"] == {"question": 1, "injected": 50}


def test_a_dead_database_makes_the_tutor_unavailable_until_it_is_back(client: TestClient) -> None:
    session = client.post("/sessions").json()["session"]
    switch(client, "dead_database", True)
    failed = [client.post("/ask", json={"question": SHIP}), client.post("/sync"), client.delete(f"/sessions/{session}")]
    assert {(response.status_code, response.json()["error"]) for response in failed} == {
        (503, "The tutor's database is down; try again later.")
    }

    switch(client, "dead_database", False)
    assert client.delete(f"/sessions/{session}").status_code == 204


def test_a_fault_is_switched_from_this_machine_only_and_by_name(client: TestClient, settings: Settings) -> None:
    assert list(client.get("/faults").json()) == list(FAULTS)
    assert "known ones are slow_retrieval" in client.put("/faults/flood", json={"on": True}).json()["error"]
    assert client.put("/faults/slow_retrieval", json={"on": 1}).status_code == 422

    with TestClient(create_app(settings), client=("192.0.2.1", 50000)) as far:
        assert far.put("/faults/slow_retrieval", json={"on": True}).status_code == 403
    assert not client.get("/faults").json()["slow_retrieval"]


def test_a_tutor_starts_while_a_fault_is_on(settings: Settings, captured: Capture) -> None:
    settings.faults.mkdir()
    (settings.faults / "dead_database").touch()
    with TestClient(create_app(settings)) as client:
        assert client.post("/ask", json={"question": SHIP}).status_code == 503
    assert captured.spans


def test_settings_come_from_the_environment(tmp_path: Path) -> None:
    assert Settings.from_env({DATA_VARIABLE: str(tmp_path)}).database == tmp_path / "tutor.db"
    assert Settings.from_env({}).data.parts[-2:] == ("demo", "tutor")
