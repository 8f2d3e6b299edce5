"""Google's generateContent, plain and as a stream of events, and its embeddings. Output tokens are without reasoning."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from otel_tutor.demo.model_server.chat import split
from otel_tutor.demo.model_server.errors import BadRequestError
from otel_tutor.demo.model_server.prompt import Body, Details, Message, Prompt, Tool, limit_of
from otel_tutor.demo.model_server.response import Piece
from otel_tutor.demo.model_server.writing import Written
from otel_tutor.demo.text import count_tokens

__all__ = ["embeddings", "events", "inputs_of", "read_prompt", "whole"]


def read_prompt(body: Body) -> Prompt:
    """The prompt of a request. Raises BadRequestError."""
    contents = body.get("contents")
    if not isinstance(contents, list) or not contents:
        raise BadRequestError("'contents' must be a list that is not empty.")
    system = _text(body.get("systemInstruction"))
    settings = body.get("generationConfig") or {}
    choice = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    return Prompt(
        messages=[
            *([Message(role="system", text=system)] if system else []),
            *(message for content in contents for message in _messages(content)),
        ],
        tools=[_tool(tool) for tools in body.get("tools") or () for tool in tools.get("functionDeclarations") or ()],
        choice={"ANY": "required", "NONE": "none"}.get(str(choice.get("mode"))),
        limit=limit_of(settings, "maxOutputTokens"),
    )


def whole(written: Written, model: str, details: Details | None) -> bytes:
    """The answer as one object."""
    parts = _calls(written) or [{"text": written.text}]
    return json.dumps({**_answer(parts, model, _reason(written)), "usageMetadata": _usage(written, details)}).encode()


def events(written: Written, model: str, details: Details | None) -> Iterator[Piece]:
    """The answer as a stream; its last event has the usage."""
    if written.calls:
        tokens = sum(count_tokens(call.name) + count_tokens(call.arguments) for call in written.calls)
        yield _event(_answer(_calls(written), model), tokens + written.tokens.reasoning)
    else:
        for number, piece in enumerate(split(written.text)):
            reasoning = 0 if number else written.tokens.reasoning
            yield _event(_answer([{"text": piece}], model), count_tokens(piece) + reasoning)
    last = {**_answer([{"text": ""}], model, _reason(written)), "usageMetadata": _usage(written, details)}
    yield _event(last)


def inputs_of(body: Body) -> list[str]:
    """The texts to embed: of one request, or of a batch."""
    requests = body.get("requests")
    return [_text(request.get("content")) for request in (requests if isinstance(requests, list) else [body])]


def embeddings(openai: bytes, *, is_batch: bool) -> bytes:
    """The vectors of OpenAI's answer in Google's shape."""
    vectors = [{"values": row["embedding"]} for row in json.loads(openai)["data"]]
    return json.dumps({"embeddings": vectors} if is_batch else {"embedding": vectors[0]}).encode()


def _messages(content: Mapping[str, Any]) -> Iterator[Message]:
    for part in content.get("parts") or ():
        if response := part.get("functionResponse"):
            yield Message(role="tool", text="\n".join(map(str, (response.get("response") or {}).values())))
        elif part.get("text"):
            yield Message(role="assistant" if content.get("role") == "model" else "user", text=part["text"])


def _text(content: object) -> str:
    parts = content.get("parts") if isinstance(content, dict) else None
    return "\n".join(str(part["text"]) for part in parts or () if part.get("text"))


def _tool(tool: Mapping[str, Any]) -> Tool:
    if not isinstance(tool.get("name"), str):
        raise BadRequestError("Each of 'functionDeclarations' must have a name.")
    return Tool(name=tool["name"], schema=tool.get("parametersJsonSchema") or tool.get("parameters") or {})


def _calls(written: Written) -> list[dict[str, Any]]:
    return [{"functionCall": {"name": call.name, "args": json.loads(call.arguments)}} for call in written.calls]


def _answer(parts: list[dict[str, Any]], model: str, reason: str | None = None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"index": 0, "content": {"role": "model", "parts": parts}}
    return {"candidates": [{**candidate, **({"finishReason": reason} if reason else {})}], "modelVersion": model}


def _reason(written: Written) -> str:
    return "MAX_TOKENS" if written.is_short else "STOP"


def _usage(written: Written, details: Details | None) -> dict[str, int]:
    tokens = written.tokens
    more = {"cachedContentTokenCount": tokens.cached, "thoughtsTokenCount": tokens.reasoning} if details else {}
    counts = {"promptTokenCount": tokens.input, "candidatesTokenCount": tokens.output - tokens.reasoning}
    return {**counts, "totalTokenCount": tokens.input + tokens.output, **more}


def _event(answer: Mapping[str, Any], tokens: int = 0) -> Piece:
    return Piece(data=b"data: " + json.dumps(answer).encode() + b"\r\n\r\n", tokens=tokens)
