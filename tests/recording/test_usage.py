"""What responses of models' clients say, in each provider's shape, becomes the conventions' sums."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from otel_tutor.rag import observe_question
from otel_tutor.recording.usage import finish_reason_of, tokens_of
from otel_tutor.testing import Capture

RESPONSES: dict[str, tuple[Mapping[str, Any], dict[str, int], str]] = {
    "openai, chat": (
        {
            "choices": [{"finish_reason": "length"}],
            "usage": {
                "prompt_tokens": 120,
                "completion_tokens": 30,
                "prompt_tokens_details": {"cached_tokens": 100},
                "completion_tokens_details": {"reasoning_tokens": 12},
            },
        },
        {"input": 120, "output": 30, "cache_read": 100, "reasoning": 12},
        "length",
    ),
    "openai, responses": (
        {
            "incomplete_details": {"reason": "max_output_tokens"},
            "usage": {"input_tokens": 120, "output_tokens": 30, "input_tokens_details": {"cached_tokens": 100}},
        },
        {"input": 120, "output": 30, "cache_read": 100},
        "max_output_tokens",
    ),
    "anthropic": (
        {
            "stop_reason": "end_turn",
            "usage": {
                "input_tokens": 15,
                "output_tokens": 30,
                "cache_read_input_tokens": 100,
                "cache_creation_input_tokens": 5,
            },
        },
        {"input": 120, "output": 30, "cache_read": 100, "cache_write": 5},
        "end_turn",
    ),
    "google": (
        {
            "candidates": [{"finish_reason": "SAFETY"}],
            "usage_metadata": {
                "prompt_token_count": 120,
                "candidates_token_count": 18,
                "cached_content_token_count": 100,
                "thoughts_token_count": 12,
            },
        },
        {"input": 120, "output": 30, "cache_read": 100, "reasoning": 12},
        "SAFETY",
    ),
    "langchain": (
        {
            "response_metadata": {"finish_reason": "stop"},
            "usage_metadata": {
                "input_tokens": 120,
                "output_tokens": 30,
                "input_token_details": {"cache_read": 100},
                "output_token_details": {"reasoning": 12},
            },
        },
        {"input": 120, "output": 30, "cache_read": 100, "reasoning": 12},
        "stop",
    ),
    "llama-index": (
        {
            "raw": {
                "choices": [{"finish_reason": "stop"}],
                "usage": {"prompt_tokens": 120, "completion_tokens": 30},
            }
        },
        {"input": 120, "output": 30},
        "stop",
    ),
    "ollama": (
        {"prompt_eval_count": 120, "eval_count": 30, "done_reason": "stop"},
        {"input": 120, "output": 30},
        "stop",
    ),
}


def as_object(value: Any) -> Any:
    if isinstance(value, Mapping):
        return SimpleNamespace(**{key: as_object(item) for key, item in value.items()})
    return [as_object(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("shape", RESPONSES)
@pytest.mark.parametrize("kind", ["a mapping", "an object"])
def test_a_response_says_its_tokens_and_why_it_ended(shape: str, kind: str) -> None:
    response, tokens, reason = RESPONSES[shape]
    given = response if kind == "a mapping" else as_object(response)

    assert (tokens_of(given), finish_reason_of(given)) == (tokens, reason)


@pytest.mark.parametrize("response", [None, "text", 3, {}, {"usage": None}, {"usage": 3}, {"usage": {"prompt_tokens": "x"}}])
def test_what_says_nothing_has_no_tokens(response: object) -> None:
    assert (tokens_of(response), finish_reason_of(response)) == ({}, None)


def test_a_generation_reads_a_response(captured: Capture) -> None:
    with observe_question("Why?", "physics") as question, question.generation("claude") as generation:
        generation.read(RESPONSES["anthropic"][0])

    assert captured.sum("model_token_count", model_name="claude", type="input") == 120
    assert captured.value("model_tokens_total", model_name="claude", type="cache_write") == 5
    assert captured.value("model_finish_reasons_total", model_name="claude", finish_reason="stop") == 1


def test_the_pieces_of_a_stream_are_read(captured: Capture) -> None:
    cache = {"cache_read_input_tokens": 100, "cache_creation_input_tokens": 5}
    pieces: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"usage": {"input_tokens": 15, "output_tokens": 1, **cache}}},
        {"type": "content_block_delta", "delta": {"text": "Because"}},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "max_tokens"},
            "usage": {"input_tokens": 15, "output_tokens": 30},
        },
    ]
    with observe_question("Why?", "physics") as question:
        assert list(question.generation("claude").stream(pieces)) == pieces

    assert captured.sum("model_token_count", model_name="claude", type="input") == 120
    assert captured.sum("model_token_count", model_name="claude", type="output") == 30
    assert captured.value("model_finish_reasons_total", model_name="claude", finish_reason="length") == 1


class Hostile:
    def __getattr__(self, name: str) -> object:
        raise RuntimeError(name)


def test_a_response_that_cannot_be_read_reaches_the_app_as_it_is(captured: Capture) -> None:
    pieces = [Hostile(), Hostile()]
    with observe_question("Why?", "physics") as question:
        with question.generation("small") as generation:
            generation.read(Hostile())
        assert list(question.generation("small").stream(pieces)) == pieces

    assert captured.value("model_inference_total", model_name="small", status="success") == 2
