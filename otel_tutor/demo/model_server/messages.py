"""Anthropic's messages, plain and as a stream of events. Its input tokens are those that came from no cache."""

import json
from collections.abc import Iterator
from typing import Any

from otel_tutor.demo.model_server.chat import split, text_of
from otel_tutor.demo.model_server.errors import BadRequestError
from otel_tutor.demo.model_server.prompt import Body, Details, Message, Prompt, Tool, limit_of, messages_of, tools_of
from otel_tutor.demo.model_server.response import Piece
from otel_tutor.demo.model_server.writing import Written
from otel_tutor.demo.text import count_tokens

__all__ = ["events", "read_prompt", "whole"]


def read_prompt(body: Body) -> Prompt:
    """The prompt of a request. Raises BadRequestError."""
    system = text_of(body.get("system"))
    choice = body.get("tool_choice")
    choice = choice if isinstance(choice, dict) else {}
    wanted = {"any": "required", "none": "none"}.get(str(choice.get("type")), choice.get("name"))
    return Prompt(
        messages=[
            *([Message(role="system", text=system)] if system else []),
            *(part for message in messages_of(body) for part in _read(message)),
        ],
        tools=[_tool(tool) for tool in tools_of(body)],
        choice=wanted,
        limit=limit_of(body, "max_tokens"),
    )


def whole(written: Written, model: str, identity: str, details: Details | None) -> bytes:
    """The answer as one object."""
    blocks: list[dict[str, Any]] = [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": json.loads(call.arguments)} for call in written.calls
    ]
    content = blocks or [{"type": "text", "text": written.text}]
    ended = {"stop_reason": _reason(written), "usage": _usage(written, details)}
    return json.dumps({**_head(model, identity), "content": content, **ended}).encode()


def events(written: Written, model: str, identity: str, details: Details | None) -> Iterator[Piece]:
    """The answer as a stream; the usage of its input is in the first event, that of its output in the last but one."""
    usage = _usage(written, details)
    begun = {**_head(model, identity), "content": [], "usage": {**usage, "output_tokens": 0}}
    yield _event("message_start", tokens=written.tokens.reasoning, message=begun)
    for index, (block, deltas) in enumerate(_blocks(written)):
        yield _event("content_block_start", index=index, content_block=block)
        for delta, tokens in deltas:
            yield _event("content_block_delta", tokens, index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    ended = {"stop_reason": _reason(written), "stop_sequence": None}
    yield _event("message_delta", delta=ended, usage={"output_tokens": usage["output_tokens"]})
    yield _event("message_stop")


def _blocks(written: Written) -> Iterator[tuple[dict[str, Any], list[tuple[dict[str, Any], int]]]]:
    """The start of each block, and its deltas with their tokens."""
    for call in written.calls:
        tokens = count_tokens(call.name) + count_tokens(call.arguments)
        delta = {"type": "input_json_delta", "partial_json": call.arguments}
        yield {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}, [(delta, tokens)]
    if not written.calls:
        pieces = [({"type": "text_delta", "text": piece}, count_tokens(piece)) for piece in split(written.text)]
        yield {"type": "text", "text": ""}, pieces


def _read(message: Body) -> Iterator[Message]:
    """Results of tools come inside a message of the user."""
    content = message.get("content")
    for block in content if isinstance(content, list) else ():
        if isinstance(block, dict) and block.get("type") == "tool_result":
            yield Message(role="tool", text=text_of(block.get("content")))
    if text := text_of(content):
        yield Message(role="user" if message.get("role") == "user" else "assistant", text=text)


def _tool(tool: Body) -> Tool:
    if not isinstance(tool.get("name"), str):
        raise BadRequestError("Each of 'tools' must have a name.")
    return Tool(name=tool["name"], schema=tool.get("input_schema") or {})


def _head(model: str, identity: str) -> dict[str, Any]:
    return {
        "id": f"msg_{identity}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "stop_reason": None,
        "stop_sequence": None,
    }


def _reason(written: Written) -> str:
    return "tool_use" if written.calls else "max_tokens" if written.is_short else "end_turn"


def _usage(written: Written, details: Details | None) -> dict[str, int]:
    tokens = written.tokens
    usage = {"input_tokens": tokens.input - tokens.cached, "output_tokens": tokens.output}
    cached = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": tokens.cached}
    return usage if details is None else {**usage, **cached}


def _event(kind: str, tokens: int = 0, **fields: Any) -> Piece:
    data = json.dumps({"type": kind, **fields})
    return Piece(data=f"event: {kind}\ndata: {data}\n\n".encode(), tokens=tokens)
