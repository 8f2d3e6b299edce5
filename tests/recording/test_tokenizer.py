"""The tokens of a stream that does not say them are counted by the model's tokenizer, or unknown; never guessed."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from otel_tutor.rag import observe_question
from otel_tutor.recording.tokenizer import StreamedText
from otel_tutor.testing import Capture


class OfTransformers:
    def encode(self, text: str, add_special_tokens: bool = True) -> list[str]:
        return ["<s>"] * add_special_tokens + text.split()


class OfTiktoken:
    def encode(self, text: str) -> list[str]:
        raise ValueError(f"{text!r} has a special token")

    def encode_ordinary(self, text: str) -> list[str]:
        return text.split()


def of_openai(text: str) -> Any:
    return {"choices": [{"delta": {"content": text}}]}


def of_anthropic(text: str) -> Any:
    return SimpleNamespace(type="content_block_delta", delta=SimpleNamespace(type="text_delta", text=text))


class Streamer:
    """Of transformers: its pieces are texts, and it has the tokenizer of its model."""

    tokenizer = OfTransformers()

    def __iter__(self) -> Any:
        return iter(["because ", "of waves"])


def output_tokens(captured: Capture, pieces: Iterable[object], tokenizer: object = None) -> float | None:
    with observe_question("why?", "physics") as question:
        for _ in question.generation("llama", tokenizer=tokenizer).stream(pieces):
            pass
    return captured.value("model_tokens_total", type="output")


@pytest.mark.parametrize("tokenizer", [OfTransformers(), OfTiktoken(), str.split])
@pytest.mark.parametrize("piece", [str, of_openai, of_anthropic])
def test_the_text_of_a_stream_is_counted_as_a_whole(captured: Capture, tokenizer: object, piece: Any) -> None:
    assert output_tokens(captured, map(piece, ["be", "cause of ", "waves"]), tokenizer) == 3


def test_a_streamer_brings_its_tokenizer(captured: Capture) -> None:
    assert output_tokens(captured, Streamer()) == 3


def test_what_the_stream_says_is_right(captured: Capture) -> None:
    usage = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 9}}

    assert output_tokens(captured, [of_openai("because"), usage], OfTransformers()) == 9


@pytest.mark.parametrize("tokenizer", [None, OfTiktoken().encode, object()], ids=["none", "one that fails", "no tokenizer"])
def test_without_a_tokenizer_that_works_they_are_unknown(captured: Capture, tokenizer: object) -> None:
    assert not output_tokens(captured, ["because"], tokenizer)
    assert captured.value("model_inference_total", status="success") == 1


def test_a_stream_that_is_left_has_no_tokens(captured: Capture) -> None:
    with observe_question("why?", "physics") as question:
        stream = question.generation("llama", tokenizer=OfTransformers()).stream(iter(["because", "of"]))
        next(stream)
        stream.close()

    assert not captured.value("model_tokens_total", type="output")


def test_a_text_beyond_all_measure_is_not_held(captured: Capture) -> None:
    text = StreamedText(OfTransformers())
    for _ in range(600):
        text.add("w " * 500)

    assert text.count() is None
    assert text._texts == []
