"""What the model says: sentences of the corpus, or a call of a tool. The same prompt always has the same answer.

- Passages are the items of lists (lines that begin with `- `) in system messages, and the results of tools. The answer is
  sentences of them, or else of the corpus, that fit the question, which is the last message of the user.
- A tool is called if the last message is the user's and contains its name, or if the client's choice asks for it. Its
  arguments follow from its schema: a text is the question, a number the first one in it or 1, a list or object is empty.
- A token is a word, a number or a mark. Those of all messages are the input.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Self

import numpy as np

from otel_tutor.demo.corpus import Passage, read_passages
from otel_tutor.demo.embedding import EmbeddingModel, Vectors
from otel_tutor.demo.generation import GenerationError, Generator
from otel_tutor.demo.model_server.prompt import Details, Prompt, Tool
from otel_tutor.demo.text import count_tokens, first_tokens

__all__ = ["NO_ANSWER", "Library", "Tokens", "ToolCall", "Written", "write"]

NO_ANSWER: Final = "The corpus has no answer to that."
_PASSAGES: Final = 5
_NUMBER: Final = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A function that the model asks for. arguments: JSON."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Tokens of a call: cached ones are part of the input, reasoning ones part of the output."""

    input: int = 0
    output: int = 0
    cached: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """An answer: a text, or calls of tools. is_short: it ended at the limit."""

    text: str
    calls: Sequence[ToolCall]
    tokens: Tokens
    is_short: bool


class Library:
    """The corpus, and the model that finds and chooses in it."""

    def __init__(self, model: EmbeddingModel) -> None:
        self.model: Final = model
        self._generator: Final = Generator(model)

    @classmethod
    def train(cls) -> Self:
        """With a model that is trained on the corpus now, in a fifth of a second."""
        return cls(EmbeddingModel.train([_titled(passage) for passage in read_passages()]))

    def answer(self, question: str, passages: Sequence[Passage] | None = None) -> str:
        """Sentences of these passages, or of the corpus, that fit the question; empty if none does."""
        try:
            return self._generator.generate(question, self._nearest(question) if passages is None else passages).text
        except GenerationError:
            return ""

    def _nearest(self, question: str) -> Sequence[Passage]:
        passages, vectors = self._shelf
        best = [passages[index] for index in np.argsort(-(vectors @ self.model.embed(question)), kind="stable")[:_PASSAGES]]
        return [passage for passage in best if passage.subject == best[0].subject]

    @cached_property
    def _shelf(self) -> tuple[Sequence[Passage], Vectors]:
        passages = read_passages()
        return passages, self.model.embed_all(_titled(passage) for passage in passages)


def write(prompt: Prompt, library: Library, details: Details | None = None) -> Written:
    """Answer the prompt, with these tokens beside those of the texts."""
    calls = [_call(tool, prompt.question) for tool in prompt.called]
    whole = "" if calls else _answer(prompt, library)
    text = whole if prompt.limit is None else first_tokens(whole, prompt.limit)
    output = count_tokens(text) + sum(count_tokens(call.name) + count_tokens(call.arguments) for call in calls)
    details = details or Details()
    tokens = Tokens(
        input=prompt.input_tokens,
        output=output + details.reasoning,
        cached=min(details.cached, prompt.input_tokens),
        reasoning=details.reasoning,
    )
    return Written(text=text, calls=calls, tokens=tokens, is_short=text != whole)


def _answer(prompt: Prompt, library: Library) -> str:
    passages = [Passage(subject="", topic="", text=text) for text in prompt.passages]
    return library.answer(prompt.question, passages) or library.answer(prompt.question) or NO_ANSWER


def _call(tool: Tool, question: str) -> ToolCall:
    properties = tool.schema.get("properties")
    schemas = properties.items() if isinstance(properties, Mapping) else ()
    arguments = json.dumps({name: _value(schema, question) for name, schema in schemas})
    digest = hashlib.sha256(f"{tool.name} {arguments}".encode()).hexdigest()
    return ToolCall(id=f"call_{digest[:24]}", name=tool.name, arguments=arguments)


def _value(schema: Any, question: str) -> object:
    schema = schema if isinstance(schema, Mapping) else {}
    if isinstance(choices := schema.get("enum"), list) and choices:
        return choices[0]
    number = _NUMBER.search(question)
    values: dict[str, object] = {
        "integer": int(float(number[0])) if number else 1,
        "number": float(number[0]) if number else 1.0,
        "boolean": True,
        "array": [],
        "object": {},
    }
    return values.get(str(schema.get("type")), question)


def _titled(passage: Passage) -> str:
    return f"{passage.topic.replace('_', ' ')}. {passage.text}"
