"""Ollama's chat and embeddings, plain and as a stream of lines."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from otel_tutor.demo.model_server.chat import read_prompt, split
from otel_tutor.demo.model_server.prompt import Body, Prompt, limit_of
from otel_tutor.demo.model_server.response import Piece
from otel_tutor.demo.model_server.writing import ToolCall, Written
from otel_tutor.demo.text import count_tokens

__all__ = ["embeddings", "lines", "prompt_of", "whole"]

_CREATED: Final = "2026-06-01T00:00:00Z"


def prompt_of(body: Body) -> Prompt:
    """The prompt of a request: as OpenAI's, with its limit among the options. Raises BadRequestError."""
    options = body.get("options")
    limit = limit_of(options, "num_predict") if isinstance(options, dict) else None
    return read_prompt({**body, "max_tokens": limit})


def whole(written: Written, model: str) -> bytes:
    """The answer as one object."""
    return _line(model, written.text, written.calls, **_end(written))


def lines(written: Written, model: str) -> Iterator[Piece]:
    """The answer as a stream; its last line has the counts."""
    for call in written.calls:
        tokens = count_tokens(call.name) + count_tokens(call.arguments)
        yield Piece(data=_line(model, "", [call], done=False), tokens=tokens)
    for piece in split(written.text) if not written.calls else ():
        yield Piece(data=_line(model, piece, done=False), tokens=count_tokens(piece))
    yield Piece(data=_line(model, "", **_end(written)))


def embeddings(openai: bytes, model: str) -> bytes:
    """The vectors of OpenAI's answer in Ollama's shape."""
    answer = json.loads(openai)
    vectors = [row["embedding"] for row in answer["data"]]
    return json.dumps(
        {"model": model, "embeddings": vectors, "prompt_eval_count": answer["usage"]["prompt_tokens"]}
    ).encode()


def _end(written: Written) -> dict[str, Any]:
    return {
        "done": True,
        "done_reason": "length" if written.is_short else "stop",
        "prompt_eval_count": written.tokens.input,
        "eval_count": written.tokens.output,
    }


def _line(model: str, text: str, calls: Sequence[ToolCall] = (), **fields: Any) -> bytes:
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if calls:
        message["tool_calls"] = [
            {"function": {"name": call.name, "arguments": json.loads(call.arguments)}} for call in calls
        ]
    return json.dumps({"model": model, "created_at": _CREATED, "message": message, **fields}).encode() + b"\n"
