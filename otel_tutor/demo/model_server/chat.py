"""OpenAI's chat completions, plain and as a stream of events."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from otel_tutor.demo.model_server.errors import BadRequestError
from otel_tutor.demo.model_server.prompt import Body, Details, Message, Prompt, Tool, limit_of, messages_of, tools_of
from otel_tutor.demo.model_server.response import Piece
from otel_tutor.demo.model_server.writing import ToolCall, Written
from otel_tutor.demo.text import count_tokens

__all__ = ["CREATED", "events", "read_prompt", "split", "text_of", "whole"]

CREATED: Final = 1_780_272_000  # the time of every answer, so that answers are equal: 2026-06-01
_PIECE: Final = re.compile(r"(?:\s*\S+){1,4}\s*")  # four words; streams of models that answer fast have as many in an event
_ROLES: Final = {"system": "system", "developer": "system", "user": "user", "tool": "tool", "function": "tool"}


def read_prompt(body: Body) -> Prompt:
    """The prompt of a request. Raises BadRequestError."""
    messages = [
        Message(role=_ROLES.get(str(message.get("role")), "assistant"), text=text_of(message.get("content")))
        for message in messages_of(body)
    ]
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        choice = _named(choice)
    return Prompt(
        messages=messages,
        tools=[_tool(tool) for tool in tools_of(body)],
        choice=choice,
        limit=limit_of(body, "max_completion_tokens", "max_tokens"),
    )


def whole(written: Written, model: str, identity: str, details: Details | None) -> bytes:
    """The answer as one object."""
    message: dict[str, Any] = {"role": "assistant", "content": written.text or None}
    if written.calls:
        message["tool_calls"] = [_call(call) for call in written.calls]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _reason(written)}
    return _json(
        {**_head("chat.completion", model, identity), "choices": [choice], "usage": _usage(written, details)},
    )


def events(written: Written, model: str, identity: str, details: Details | None, *, includes_usage: bool) -> Iterator[Piece]:
    """The answer as a stream; its last event but one has the usage, if the client asked for it."""
    head = _head("chat.completion.chunk", model, identity)

    def event(delta: dict[str, Any], reason: str | None = None, tokens: int = 0) -> Piece:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return _event(_json({**head, "choices": [choice]}), tokens)

    yield event({"role": "assistant", "content": None if written.calls else ""}, tokens=written.tokens.reasoning)
    for piece in split(written.text):
        yield event({"content": piece}, tokens=count_tokens(piece))
    for index, call in enumerate(written.calls):
        begun = {"index": index, **_call(call), "function": {"name": call.name, "arguments": ""}}
        yield event({"tool_calls": [begun]}, tokens=count_tokens(call.name))
        rest = {"index": index, "function": {"arguments": call.arguments}}
        yield event({"tool_calls": [rest]}, tokens=count_tokens(call.arguments))
    yield event({}, _reason(written))
    if includes_usage:
        yield _event(_json({**head, "choices": [], "usage": _usage(written, details)}))
    yield _event(b"[DONE]")


def split(text: str) -> Sequence[str]:
    """The pieces of a streamed text."""
    return _PIECE.findall(text)


def text_of(content: object) -> str:
    """The text of a content: itself, or the texts of its parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    return "\n".join(str(part["text"]) for part in parts if isinstance(part, dict) and part.get("text"))


def _tool(tool: Body) -> Tool:
    if (name := _named(tool)) is None:
        raise BadRequestError("Each of 'tools' must have a function with a name.")
    return Tool(name=name, schema=tool["function"].get("parameters") or {})


def _named(tool: Body) -> str | None:
    function = tool.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else None


def _call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _head(kind: str, model: str, identity: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{identity}", "object": kind, "created": CREATED, "model": model}


def _reason(written: Written) -> str:
    return "tool_calls" if written.calls else "length" if written.is_short else "stop"


def _usage(written: Written, details: Details | None) -> dict[str, Any]:
    tokens = written.tokens
    usage: dict[str, Any] = {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
    }
    if details is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": tokens.cached}
        usage["completion_tokens_details"] = {"reasoning_tokens": tokens.reasoning}
    return usage


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _event(data: bytes, tokens: int = 0) -> Piece:
    return Piece(data=b"data: " + data + b"\n\n", tokens=tokens)
