"""What a client asks the model for, in whichever protocol, and what it asks about usage."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from otel_tutor.demo.model_server.errors import BadRequestError
from otel_tutor.demo.text import count_tokens

__all__ = [
    "USAGE_HEADER",
    "Body",
    "Details",
    "Message",
    "Prompt",
    "Tool",
    "limit_of",
    "messages_of",
    "model_of",
    "read_object",
    "tools_of",
]

USAGE_HEADER: Final = "x-tutor-usage"
_ITEM: Final = "- "

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """role: system, user, assistant, or tool for the result of one."""

    role: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function that the client offers. schema: of its arguments, JSON Schema."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """choice: "none", "required", the name of a tool, or None. limit: tokens of output, or None."""

    messages: Sequence[Message]
    tools: Sequence[Tool] = ()
    choice: str | None = None
    limit: int | None = None

    @property
    def question(self) -> str:
        """The last message of the user."""
        return next((message.text for message in reversed(self.messages) if message.role == "user"), "")

    @property
    def passages(self) -> Sequence[str]:
        """Items of lists in system messages, then what tools found."""
        lines = [line for message in self.messages if message.role == "system" for line in message.text.splitlines()]
        items = [line.removeprefix(_ITEM) for line in lines if line.startswith(_ITEM)]
        return items + [message.text for message in self.messages if message.role == "tool"]

    @property
    def called(self) -> Sequence[Tool]:
        """The tools to call."""
        if self.choice == "none" or not self.messages or self.messages[-1].role != "user":
            return ()
        named = [tool for tool in self.tools if tool.name == self.choice or tool.name in self.question]
        return named or (self.tools[:1] if self.choice == "required" else ())

    @property
    def input_tokens(self) -> int:
        """The tokens of all messages."""
        return sum(count_tokens(message.text) for message in self.messages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What the header `x-tutor-usage: cached=100,reasoning=12` asks for; each is optional.

    cached: tokens of the input that came from a cache, at most all of them. reasoning: tokens of output beside the answer.
    """

    cached: int = 0
    reasoning: int = 0

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Self | None:
        """None without the header. Raises BadRequestError for what it cannot read, as every function here does."""
        if USAGE_HEADER not in headers:
            return None
        try:
            pairs = [part.strip().split("=") for part in headers[USAGE_HEADER].split(",")]
            return cls(**{name: max(int(number), 0) for name, number in pairs})
        except (TypeError, ValueError):
            raise BadRequestError(f"{USAGE_HEADER} must be like cached=100,reasoning=12.") from None


def read_object(body: bytes) -> Body:
    """The JSON object that a body is."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise BadRequestError("The body must be a JSON object.")
    return value


def model_of(body: Body) -> str:
    """The model asked for: every name is served."""
    model = body.get("model")
    if not isinstance(model, str) or not model.strip():
        raise BadRequestError("'model' must be the name of a model.")
    return model


def messages_of(body: Body) -> Sequence[Body]:
    """The messages as they were sent; there is at least one."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        raise BadRequestError("'messages' must be a list of messages that is not empty.")
    return messages


def tools_of(body: Body) -> Sequence[Body]:
    """The tools as they were sent."""
    tools = body.get("tools") or []
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise BadRequestError("'tools' must be a list of tools.")
    return tools


def limit_of(body: Body, *names: str) -> int | None:
    """The limit of output tokens, by the first of these names that is there."""
    limit = next((body[name] for name in names if body.get(name) is not None), None)
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise BadRequestError(f"{names[0]!r} must be a whole number above 0.")
    return limit
