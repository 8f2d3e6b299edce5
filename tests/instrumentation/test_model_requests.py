"""Each attempt of a real client against a real server shows, although a call with retries is one call."""

import asyncio
from collections.abc import Iterator
from typing import Any

import anyio
import httpx2
import openai
import pytest

from otel_tutor.demo.model_server import Library, serving_model
from otel_tutor.instrumentation.model_requests import ModelRequests
from otel_tutor.rag import observe_question
from otel_tutor.testing import Capture
from tests.support.ports import unused_ports

ASKED: Any = [{"role": "user", "content": "Why does a steel ship float?"}]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    if not ModelRequests.is_instrumented_by_opentelemetry:
        ModelRequests().instrument()
    with serving_model(Library.train()) as url:
        yield url


def ask(url: str, fault: str = "", *, retries: int = 2, timeout: float = 30) -> None:
    headers = {"x-tutor-fault": fault, "x-tutor-key": fault}
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=retries, timeout=timeout) as client:
        client.chat.completions.create(model="small", messages=ASKED, extra_headers=headers)


async def ask_async(url: str, fault: str = "") -> None:
    headers = {"x-tutor-fault": fault, "x-tutor-key": fault}
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none") as client:
        await client.chat.completions.create(model="small", messages=ASKED, extra_headers=headers)


def attempts(captured: Capture) -> dict[object, float | None]:
    points = captured.read_metrics().get("model.requests", [])
    return {point.attributes["http.response.status_code"]: point.value for point in points}


@pytest.mark.parametrize("is_async", [False, True])
def test_a_rate_limit_and_the_wait_for_the_retry_show(captured: Capture, url: str, is_async: bool) -> None:
    with observe_question("Why?", "physics") as question, question.generation("small", provider="openai"):
        if is_async:
            asyncio.run(ask_async(url, "429-once"))
        else:
            ask(url, "429-once")

    assert captured.value("model_requests_total", model_name="small", status="429") == 1
    assert captured.value("model_requests_total", model_name="small", status="200") == 1
    assert captured.count("model_retry_wait_seconds", model_name="small") == 1
    assert captured.sum("model_retry_wait_seconds") > 0
    assert captured.value("model_inference_total", model_name="small", status="success") == 1
    (call,) = [span for span in captured.spans if span.name == "chat small"]
    (event,) = call.events
    assert (event.name, (event.attributes or {})["http.response.status_code"]) == ("attempt failed", 429)


def test_a_call_that_fails_has_all_its_attempts(captured: Capture, url: str) -> None:
    with pytest.raises(openai.InternalServerError):
        ask(url, "500", retries=1)

    assert attempts(captured) == {"500": 2}


def test_a_time_out_and_a_server_that_is_away_are_attempts(captured: Capture, url: str) -> None:
    with pytest.raises(openai.APITimeoutError):
        ask(url, "slow=60", retries=0, timeout=0.2)
    with pytest.raises(openai.APIConnectionError):
        ask(f"http://127.0.0.1:{unused_ports()['app']}", retries=0)

    assert attempts(captured) == {"timeout": 1, "error": 1}


def test_an_attempt_that_is_cancelled_is_no_failure(captured: Capture, url: str) -> None:
    async def leave() -> None:
        with anyio.move_on_after(0.2):
            await ask_async(url, "slow=60")

    asyncio.run(leave())

    assert attempts(captured) == {"cancelled": 1}


def test_a_call_after_a_failure_is_a_retry_only_in_the_same_place(captured: Capture, url: str) -> None:
    for subject in ("physics", "biology"):
        with pytest.raises(openai.InternalServerError), observe_question("Why?", subject):
            ask(url, "500", retries=0)

    assert captured.count("model_retry_wait_seconds") == 0


def test_requests_of_other_clients_are_none_of_a_model(captured: Capture, url: str) -> None:
    httpx2.get(f"{url}/v1/models", trust_env=False)
    httpx2.post(f"{url}/v1/chat/completions", json={}, trust_env=False)
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as client:
        client.models.list()

    assert attempts(captured) == {}


def test_a_client_gets_what_it_would_get_anyway(captured: Capture, url: str) -> None:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none") as client:
        stream = client.chat.completions.create(model="small", messages=ASKED, stream=True)
        answer = "".join(choice.delta.content or "" for chunk in stream for choice in chunk.choices)

    assert "float" in answer
    assert attempts(captured) == {"200": 1}
