"""Which attributes of other libraries are texts of people and models, today's names and those to come."""

from typing import Any

import pytest

from otel_tutor.pipeline.content import without_content
from otel_tutor.recording.content import ASKED_FOR

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-x"}


@pytest.mark.parametrize(
    "key",
    [
        "gen_ai.input.messages",
        "gen_ai.prompt.0.content",
        "gen_ai.tool.args",
        "gen_ai.request.user",
        "gen_ai.request.stop_sequences",
        "gen_ai.evaluation.explanation",
        "langfuse.observation.input",
        "gen_ai.a.name.of.tomorrow",
        "llm.a.name.of.tomorrow",
        "traceloop.a.name.of.tomorrow",
    ],
)
@pytest.mark.parametrize("value", ["Ada", ("Ada",), {"name": "Ada"}], ids=["text", "texts", "a mapping"])
def test_a_text_stays_in_the_process_wherever_it_is(key: str, value: Any) -> None:
    assert without_content({key: value, "other": 1}) == {"other": 1}


@pytest.mark.parametrize("key", ["input.question", "tool.arguments", "document.content", "metadata", "message.content"])
def test_a_text_of_a_span_about_models_stays_too(key: str) -> None:
    assert without_content({**CHAT, key: "Ada"}) == CHAT


@pytest.mark.parametrize("key", ["input.question", "document.title", "metadata", "tool.owner"])
def test_what_an_app_calls_so_on_its_own_spans_passes(key: str) -> None:
    attributes = {key: "mine"}

    assert without_content(attributes) is attributes


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.agent.name", "tutor"),
        ("gen_ai.tool.call.id", "call-1"),
        ("gen_ai.prompt.version", "3"),
        ("gen_ai.conversation.id", "c-1"),
        ("gen_ai.response.finish_reasons", ("stop",)),
        ("gen_ai.usage.a_number_of_tomorrow", 3),
        ("gen_ai.request.temperature", 0.5),
        ("llm.model_name", "gpt-x"),
        ("openinference.span.kind", "LLM"),
        ("traceloop.entity.name", "ask"),
        ("tool_call.function.name", "look_up"),
        ("server.address", "localhost"),
        ("session.id", "s-1"),
    ],
)
def test_what_is_no_text_of_anyone_passes(key: str, value: object) -> None:
    attributes = {**CHAT, key: value}

    assert without_content(attributes) is attributes


def test_texts_that_are_asked_for_stay_and_are_marked() -> None:
    attributes = {**CHAT, "gen_ai.input.messages": "Ada"}

    assert without_content(attributes, captures=True) == {**attributes, ASKED_FOR: True}
