"""The server with OpenAI's protocol, asked by the real client: what the client gets is what the account says."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from otel_tutor.demo.model_server import Account, Library, serving_model
from otel_tutor.demo.text import count_tokens
from tests.support.ports import unused_ports

SHIP: list[ChatCompletionMessageParam] = [
    {"role": "system", "content": "You are a tutor."},
    {"role": "user", "content": "Why does a steel ship float?"},
]
INPUT, ANSWER = 5 + 7, 59  # words and marks of both, and of the answer
LOOK_UP: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "look_up_grade",
        "parameters": {
            "type": "object",
            "properties": {"pupil": {"type": "string"}, "year": {"type": "integer"}, "term": {"enum": ["first", "second"]}},
        },
    },
}


@pytest.fixture(scope="module")
def url(library: Library) -> Iterator[str]:
    with serving_model(library) as url:
        yield url


@pytest.fixture
def model(request: pytest.FixtureRequest) -> str:
    """The model that only this test asks for, so that its account is its own."""
    name: str = request.node.name
    return name


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", timeout=30) as client:
        yield client


def calls(url: str, model: str) -> dict[tuple[str, str], int]:
    """By kind and status."""
    return {(row["kind"], row["status"]): row["count"] for row in account(url)["calls"] if row["model"] == model}


def tokens(url: str, model: str) -> dict[str, int]:
    """By type."""
    return {row["type"]: row["count"] for row in account(url)["tokens"] if row["model"] == model}


def account(url: str) -> dict[str, Any]:
    with urlopen(f"{url}/account") as response:
        read: dict[str, Any] = json.load(response)
        return read


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_answer_is_of_the_corpus_and_its_usage_is_in_the_account(client: openai.OpenAI, url: str, model: str) -> None:
    first, second = (client.chat.completions.create(model=model, messages=SHIP) for _ in range(2))
    (choice,), usage = first.choices, first.usage

    assert first == second
    assert usage
    assert "hull holds air" in (choice.message.content or "")
    assert (choice.finish_reason, first.model) == ("stop", model)
    assert (usage.prompt_tokens, usage.completion_tokens) == (INPUT, ANSWER)
    assert count_tokens(choice.message.content or "") == ANSWER
    assert usage.prompt_tokens_details is None
    assert calls(url, model) == {("chat", "200"): 2}
    assert tokens(url, model) == {"input": 2 * usage.prompt_tokens, "output": 2 * usage.completion_tokens}


def test_details_of_usage_come_on_request(client: openai.OpenAI, url: str, model: str) -> None:
    usage = client.chat.completions.create(
        model=model, messages=SHIP, extra_headers={"x-tutor-usage": "cached=100,reasoning=7"}
    ).usage

    assert usage
    assert usage.prompt_tokens_details
    assert usage.completion_tokens_details
    assert usage.prompt_tokens_details.cached_tokens == INPUT  # no more than there are
    assert usage.completion_tokens_details.reasoning_tokens == 7
    assert tokens(url, model) == {"input": INPUT, "cached": INPUT, "output": usage.completion_tokens, "reasoning": 7}


@pytest.mark.parametrize("includes_usage", [True, False])
def test_a_stream_is_the_same_answer_in_pieces_with_its_usage_if_asked_for(
    client: openai.OpenAI, url: str, model: str, includes_usage: bool
) -> None:
    whole = client.chat.completions.create(model=model, messages=SHIP)
    stream = client.chat.completions.create(
        model=model, messages=SHIP, stream=True, stream_options={"include_usage": includes_usage}
    )
    chunks = list(stream)
    pieces = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]

    assert len(pieces) > 5
    assert "".join(pieces) == whole.choices[0].message.content
    assert [chunk.usage for chunk in chunks if chunk.usage] == ([whole.usage] if includes_usage else [])
    assert whole.usage
    assert calls(url, model) == {("chat", "200"): 2}
    assert tokens(url, model) == {"input": 2 * INPUT, "output": 2 * whole.usage.completion_tokens}


def test_a_tool_is_called_where_the_last_message_names_it_and_its_result_is_used(
    client: openai.OpenAI, url: str, model: str
) -> None:
    question, result = "Please look_up_grade of Ada in 2026.", "Ada's grade in 2026 is an A in physics."
    asked: list[Any] = [{"role": "user", "content": question}]
    called = client.chat.completions.create(model=model, messages=asked, tools=[LOOK_UP])
    (call,) = (call.to_dict() for call in called.choices[0].message.tool_calls or [])
    asked += [{"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": call["id"], "content": result}]
    answer = client.chat.completions.create(model=model, messages=asked, tools=[LOOK_UP])
    function: Any = call["function"]

    assert called.choices[0].finish_reason == "tool_calls"
    assert function["name"] == "look_up_grade"
    assert json.loads(function["arguments"]) == {"pupil": question, "year": 2026, "term": "first"}
    assert (answer.choices[0].finish_reason, answer.choices[0].message.content) == ("stop", result)
    assert called.usage
    assert called.usage.completion_tokens == count_tokens(" ".join(function.values()))
    assert calls(url, model) == {("chat", "200"): 2}


def test_a_streamed_tool_call_adds_up_to_the_plain_one(client: openai.OpenAI, url: str, model: str) -> None:
    choice: Any = {"type": "function", "function": {"name": "look_up_grade"}}
    plain: Any = client.chat.completions.create(model=model, messages=SHIP, tools=[LOOK_UP], tool_choice=choice)
    with client.chat.completions.stream(model=model, messages=SHIP, tools=[LOOK_UP], tool_choice=choice) as stream:
        streamed: Any = stream.get_final_completion()

    calls_of: list[list[Any]] = [
        [{**call.function.to_dict(), "id": call.id} for call in message.tool_calls or []]
        for message in (plain.choices[0].message, streamed.choices[0].message)
    ]

    assert len(calls_of[0]) == 1
    assert calls_of[0] == [{key: call[key] for key in ("id", "name", "arguments")} for call in calls_of[1]]
    assert client.chat.completions.create(model=model, messages=SHIP, tools=[LOOK_UP]).choices[0].finish_reason == "stop"


def test_an_answer_ends_at_its_limit_of_tokens(client: openai.OpenAI, url: str, model: str) -> None:
    answer = client.chat.completions.create(model=model, messages=SHIP, max_completion_tokens=5)

    assert answer.usage
    assert answer.usage.completion_tokens == 5
    assert answer.choices[0].finish_reason == "length"
    assert tokens(url, model)["output"] == 5


def test_texts_are_embedded_by_the_tutors_model(client: openai.OpenAI, url: str, model: str, library: Library) -> None:
    embedded = client.embeddings.create(model=model, input=["a steel ship", "floating ships"])
    listed = client.embeddings.create(model=model, input="a steel ship", encoding_format="float", dimensions=3)

    assert embedded.data[0].embedding == library.model.embed("a steel ship").tolist()
    assert listed.data[0].embedding == embedded.data[0].embedding[:3]
    assert embedded.usage.prompt_tokens == 3 + 2
    assert calls(url, model) == {("embeddings", "200"): 2}
    assert tokens(url, model) == {"input": 5 + 3}


def test_a_rate_limit_is_for_the_first_of_two_attempts(client: openai.OpenAI, url: str, model: str) -> None:
    for _ in range(2):
        answer = client.chat.completions.create(model=model, messages=SHIP, extra_headers={"x-tutor-fault": "429-once"})
        assert answer.choices[0].message.content
    with pytest.raises(openai.RateLimitError):
        client.with_options(max_retries=0).embeddings.create(
            model=model, input="ship", extra_headers={"x-tutor-fault": "429-once", "x-tutor-key": "k"}
        )

    assert calls(url, model) == {("chat", "429"): 2, ("chat", "200"): 2, ("embeddings", "429"): 1}
    assert tokens(url, model)["input"] == 2 * INPUT


def test_an_error_of_the_server_is_counted_at_every_attempt(client: openai.OpenAI, url: str, model: str) -> None:
    with pytest.raises(openai.InternalServerError, match="The error that was asked for"):
        client.chat.completions.create(model=model, messages=SHIP, extra_headers={"x-tutor-fault": "500"})

    assert calls(url, model) == {("chat", "500"): 3}
    assert tokens(url, model) == {}


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_waits_no_longer_is_in_the_account(client: openai.OpenAI, url: str, model: str, stream: bool) -> None:
    hasty = client.with_options(timeout=0.1, max_retries=0)
    with pytest.raises(openai.APITimeoutError):
        hasty.chat.completions.create(model=model, messages=SHIP, stream=stream, extra_headers={"x-tutor-fault": "slow=60"})

    wait_for(lambda: calls(url, model) == {("chat", "abandoned"): 1})
    assert tokens(url, model) == {}


def test_a_stream_that_is_left_costs_what_was_sent(client: openai.OpenAI, url: str, model: str) -> None:
    slowly = {"x-tutor-fault": "slow=0.05"}
    with client.chat.completions.create(model=model, messages=SHIP, stream=True, extra_headers=slowly) as stream:
        text = next(chunk.choices[0].delta.content for chunk in stream if chunk.choices[0].delta.content)

    wait_for(lambda: calls(url, model) == {("chat", "abandoned"): 1})
    assert tokens(url, model)["input"] == INPUT
    assert count_tokens(text) <= tokens(url, model)["output"] < ANSWER


def test_a_stream_may_be_cut_in_the_middle(client: openai.OpenAI, url: str, model: str) -> None:
    stream = client.chat.completions.create(model=model, messages=SHIP, stream=True, extra_headers={"x-tutor-fault": "cut"})
    received: list[str] = []
    with pytest.raises(openai.APIConnectionError):
        received.extend(chunk.choices[0].delta.content or "" for chunk in stream)

    assert calls(url, model) == {("chat", "cut"): 1}
    assert count_tokens("".join(received)) == tokens(url, model)["output"] < ANSWER


@pytest.mark.parametrize(
    ("body", "headers", "sentence"),
    [
        ({"messages": []}, {}, "'messages' must be a list"),
        ({"model": " "}, {}, "'model' must be the name"),
        ({"tools": 3}, {}, "'tools' must be a list"),
        ({"tools": [{}]}, {}, "must have a function with a name"),
        ({"max_tokens": 0}, {}, "must be a whole number above 0"),
        ({}, {"x-tutor-fault": "flood"}, "'flood' is none of 500, 429-once, slow=SECONDS and cut"),
        ({}, {"x-tutor-fault": "slow=nan"}, "give seconds from 0 to 600"),
        ({}, {"x-tutor-usage": "cached"}, "must be like cached=100,reasoning=12"),
    ],
)
def test_a_bad_request_is_refused_with_one_sentence(
    client: openai.OpenAI, url: str, model: str, body: dict[str, object], headers: dict[str, str], sentence: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=sentence):
        client.chat.completions.create(model=model, messages=SHIP, extra_body=body, extra_headers=headers)

    assert calls(url, "" if "model" in body else model)["chat", "400"] == 1


def test_a_question_without_an_answer_has_a_fixed_one(client: openai.OpenAI, model: str) -> None:
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": "zzzz qqqq"}])

    assert answer.choices[0].message.content == "The corpus has no answer to that."
    assert [listed.id for listed in client.models.list()] == ["tutor-chat-1", "tutor-lsa-128"]


def test_servers_that_share_a_file_have_one_account(library: Library, model: str, tmp_path: Path) -> None:
    accounts = [Account(tmp_path / "account.db") for _ in range(2)]
    with serving_model(library, accounts[0]) as first, serving_model(library, accounts[1]) as second:
        for url in (first, second, second):
            with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as client:
                client.chat.completions.create(model=model, messages=SHIP)
        assert calls(first, model) == calls(second, model) == {("chat", "200"): 3}
    for account in accounts:
        account.close()


@pytest.mark.processes
def test_the_server_can_be_started_alone(model: str, tmp_path: Path) -> None:
    port, file = unused_ports()["app"], tmp_path / "account.db"
    command = [sys.executable, "-m", "otel_tutor.demo.model_server", f"--port={port}", f"--account={file}"]
    with (
        subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as server,
        openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=30) as client,
    ):
        answer = client.chat.completions.create(model=model, messages=SHIP)
        server.terminate()
        server.communicate()

    assert answer.choices[0].message.content
    kept = Account(file)
    assert [row["count"] for row in kept.read()["calls"]] == [1]
    kept.close()
