"""The server's other protocol, Anthropic's, as its bytes are: the client itself is not among what the tests need."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import pytest

from otel_tutor.demo.model_server import Library, serving_model

QUESTION = "Why does a steel ship float?"
TOOL = {
    "name": "look_up",
    "input_schema": {"type": "object", "properties": {"text": {"type": "string"}, "sure": {"type": "boolean"}}},
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving_model(Library.train()) as url:
        yield url


def ask(url: str, content: object = QUESTION, *, cached: int | None = None, **fields: object) -> str:
    body = {"model": "m", "max_tokens": 200, "messages": [{"role": "user", "content": content}], **fields}
    headers = {} if cached is None else {"x-tutor-usage": f"cached={cached}"}
    with urlopen(Request(f"{url}/v1/messages", json.dumps(body).encode(), headers)) as response:
        text: str = response.read().decode()
        return text


def plain(url: str, content: object = QUESTION, **fields: Any) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(ask(url, content, **fields))
    return message


def streamed(url: str, content: object = QUESTION, **fields: Any) -> list[dict[str, Any]]:
    lines = ask(url, content, stream=True, **fields).splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


def test_an_answer_has_the_usage_without_what_was_cached(url: str) -> None:
    message = plain(url, cached=3, system="You are a tutor.")

    assert "hull holds air" in message["content"][0]["text"]
    assert message["stop_reason"] == "end_turn"
    assert message["usage"]["input_tokens"] + message["usage"]["cache_read_input_tokens"] == 5 + 7
    assert message["usage"]["cache_read_input_tokens"] == 3
    assert plain(url, max_tokens=2)["stop_reason"] == "max_tokens"


def test_a_stream_adds_up_to_the_plain_answer(url: str) -> None:
    whole, events = plain(url), streamed(url)
    text = "".join(event["delta"]["text"] for event in events if event["type"] == "content_block_delta")

    assert text == whole["content"][0]["text"]
    assert events[0]["message"]["usage"] == {**whole["usage"], "output_tokens": 0}
    assert [event["type"] for event in events[-2:]] == ["message_delta", "message_stop"]
    assert events[-2]["usage"]["output_tokens"] == whole["usage"]["output_tokens"]


def test_a_tool_is_called_and_its_result_is_used(url: str) -> None:
    wanted = "Please look_up ships."
    called, events = plain(url, wanted, tools=[TOOL]), streamed(url, wanted, tools=[TOOL])
    (call,) = called["content"]
    (arguments,) = (event["delta"]["partial_json"] for event in events if event["type"] == "content_block_delta")
    result = [{"type": "tool_result", "tool_use_id": call["id"], "content": "Ships are in look_up."}]

    assert called["stop_reason"] == "tool_use"
    assert call["input"] == {"text": wanted, "sure": True} == json.loads(arguments)
    history = [{"role": "user", "content": wanted}, {"role": "user", "content": result}]
    assert plain(url, messages=history, tools=[TOOL])["content"] == [{"type": "text", "text": "Ships are in look_up."}]


@pytest.mark.parametrize(
    ("choice", "calls"), [({"type": "any"}, 1), ({"type": "tool", "name": "look_up"}, 1), ({"type": "none"}, 0)]
)
def test_a_tool_may_be_asked_for_or_forbidden(url: str, choice: dict[str, str], calls: int) -> None:
    text = QUESTION if calls else "Please look_up ships."
    message = plain(url, text, tools=[TOOL], tool_choice=choice)

    assert sum(block["type"] == "tool_use" for block in message["content"]) == calls
