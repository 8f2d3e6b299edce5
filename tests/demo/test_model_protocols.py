"""The model server in the protocols of Google and Ollama, as they are on the wire; `make models` has their real clients."""

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from otel_tutor.demo.model_server import Account, Library
from otel_tutor.demo.model_server.app import create_model_app

SHIP = "Why does a steel ship float?"
SCHEMA = {"type": "object", "properties": {"pupil": {"type": "string"}}}
GEMINI = "/v1beta/models/model-x"


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def server(library: Library, account: Account) -> TestClient:
    return TestClient(create_model_app(library, account))


def tokens(account: Account) -> dict[object, object]:
    return {row["type"]: row["count"] for row in account.read()["tokens"]}


def asked_of_google(text: str, **more: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": text}]}], **more}


def test_google_answers_whole_and_in_pieces_alike(server: TestClient, account: Account) -> None:
    details = {"x-tutor-usage": "cached=3,reasoning=12"}
    whole = server.post(f"{GEMINI}:generateContent", json=asked_of_google(SHIP), headers=details).json()
    once = tokens(account)
    lines = server.post(f"{GEMINI}:streamGenerateContent?alt=sse", json=asked_of_google(SHIP), headers=details).text.split()
    events = [json.loads(line) for line in "".join(f"{part} " for part in lines).split("data: ")[1:]]
    pieces = [event["candidates"][0]["content"]["parts"][0]["text"] for event in events]

    answer = whole["candidates"][0]["content"]["parts"][0]["text"]
    assert "".join("".join(pieces).split()) == "".join(answer.split())
    assert events[-1]["usageMetadata"] == whole["usageMetadata"]
    usage = whole["usageMetadata"]
    assert usage["candidatesTokenCount"] + usage["thoughtsTokenCount"] == once["output"]
    assert (usage["promptTokenCount"], usage["cachedContentTokenCount"]) == (once["input"], once["cached"])


@pytest.mark.parametrize("verb", ["generateContent", "streamGenerateContent"])
def test_google_calls_a_tool(server: TestClient, verb: str) -> None:
    more = {
        "systemInstruction": {"parts": [{"text": "You are a tutor."}]},
        "tools": [{"functionDeclarations": [{"name": "look_up", "parameters": SCHEMA}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
    }
    text = server.post(f"{GEMINI}:{verb}", json=asked_of_google(SHIP, **more)).text

    assert '"functionCall": {"name": "look_up"' in text


def test_google_reads_what_a_tool_found_and_keeps_to_a_limit(server: TestClient) -> None:
    found = {"functionResponse": {"name": "look_up", "response": {"result": "A steel ship floats on water."}}}
    body = asked_of_google(SHIP, generationConfig={"maxOutputTokens": 2})
    body["contents"] += [{"role": "model", "parts": [{"text": "I look."}]}, {"role": "user", "parts": [found]}]
    answer = server.post(f"{GEMINI}:generateContent", json=body).json()

    assert answer["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert answer["usageMetadata"]["candidatesTokenCount"] == 2


@pytest.mark.parametrize(
    "body", [{}, {"contents": []}, {**asked_of_google("a"), "tools": [{"functionDeclarations": [{"parameters": {}}]}]}]
)
def test_google_refuses_what_it_cannot_read(server: TestClient, body: dict[str, Any]) -> None:
    assert server.post(f"{GEMINI}:generateContent", json=body).status_code == 400


def test_google_embeds_one_text_and_many(server: TestClient, account: Account) -> None:
    content = {"content": {"parts": [{"text": "light"}]}}
    one = server.post(f"{GEMINI}:embedContent", json=content).json()
    many = server.post(f"{GEMINI}:batchEmbedContents", json={"requests": [content, content]}).json()

    assert many["embeddings"] == [one["embedding"]] * 2
    assert tokens(account)["input"] == 3


def test_ollama_answers_whole_and_in_lines_alike(server: TestClient, account: Account) -> None:
    body: dict[str, Any] = {"model": "model-x", "messages": [{"role": "user", "content": SHIP}]}
    whole = server.post("/api/chat", json={**body, "stream": False}).json()
    once = tokens(account)
    lines = [json.loads(line) for line in server.post("/api/chat", json=body).text.splitlines()]
    short = server.post("/api/chat", json={**body, "stream": False, "options": {"num_predict": 2}}).json()

    assert "".join(line["message"]["content"] for line in lines) == whole["message"]["content"]
    assert lines[-1]["eval_count"] == whole["eval_count"] == once["output"]
    assert whole["prompt_eval_count"] == once["input"]
    assert (whole["done_reason"], short["done_reason"]) == ("stop", "length")


@pytest.mark.parametrize("stream", [True, False])
def test_ollama_calls_a_tool(server: TestClient, stream: bool) -> None:
    tool = {"type": "function", "function": {"name": "look_up", "parameters": SCHEMA}}
    body = {"model": "model-x", "messages": [{"role": "user", "content": "look_up Ada"}], "tools": [tool], "stream": stream}
    first = json.loads(server.post("/api/chat", json=body).text.splitlines()[0])

    assert first["message"]["tool_calls"][0]["function"]["name"] == "look_up"


def test_ollama_embeds(server: TestClient, account: Account) -> None:
    answer = server.post("/api/embed", json={"model": "emb-x", "input": ["light", "water"]}).json()

    assert len(answer["embeddings"]) == 2
    assert answer["prompt_eval_count"] == tokens(account)["input"] == 2
