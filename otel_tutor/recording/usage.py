"""What a response of a model's client, or a piece of one, says of its tokens and of why it ended.

Read by attributes, or keys of a mapping, so that no client is imported. The shapes are those of OpenAI (chat completions and
responses), Anthropic, Google, Ollama, LangChain and LlamaIndex, and of the servers and libraries that follow them.
"""

from collections.abc import Mapping
from typing import Any, Final

from otel_tutor.recording.values import to_count

__all__ = ["finish_reason_of", "text_of", "tokens_of"]

# By type of token, the ways to it from the object that has the usage; the first that leads to a number counts.
_OPENAI: Final = {
    "input": ("prompt_tokens", "input_tokens"),
    "output": ("completion_tokens", "output_tokens"),
    "cache_read": ("prompt_tokens_details.cached_tokens", "input_tokens_details.cached_tokens"),
    "reasoning": ("completion_tokens_details.reasoning_tokens", "output_tokens_details.reasoning_tokens"),
}
_ANTHROPIC: Final = {
    "input": ("input_tokens",),
    "output": ("output_tokens",),
    "cache_read": ("cache_read_input_tokens",),
    "cache_write": ("cache_creation_input_tokens",),
}
_GOOGLE: Final = {
    "input": ("prompt_token_count",),
    "output": ("candidates_token_count",),
    "cache_read": ("cached_content_token_count",),
    "reasoning": ("thoughts_token_count",),
}
_LANGCHAIN: Final = {
    "input": ("input_tokens",),
    "output": ("output_tokens",),
    "cache_read": ("input_token_details.cache_read",),
    "cache_write": ("input_token_details.cache_creation",),
    "reasoning": ("output_token_details.reasoning",),
}
_OLLAMA: Final = {"input": ("prompt_eval_count",), "output": ("eval_count",)}
_FINISHES: Final = (
    "choices.0.finish_reason",
    "stop_reason",
    "delta.stop_reason",
    "candidates.0.finish_reason",
    "done_reason",
    "incomplete_details.reason",
    "response_metadata.finish_reason",
    "response_metadata.stop_reason",
    "raw.choices.0.finish_reason",
)
# Of a piece of a stream: OpenAI (chat, older completions), Anthropic, OpenAI (responses), Ollama, LangChain, Google.
_TEXTS: Final = ("choices.0.delta.content", "choices.0.text", "delta.text", "delta", "message.content", "content", "text")


def tokens_of(response: object) -> dict[str, int | float]:
    """The tokens by type, as the conventions count them: those of the cache among the input, reasoning among the output."""
    # Of a response, of Anthropic's first event, of OpenAI's last, of what LlamaIndex wraps.
    for way in ("usage", "message.usage", "response.usage", "raw.usage"):
        usage = _follow(response, way)
        if usage is not None:
            return _of_anthropic(usage) if _is_anthropic(usage) else _read(usage, _OPENAI)
    usage = _follow(response, "usage_metadata")
    if usage is None:
        return _read(response, _OLLAMA)
    return _read(usage, _LANGCHAIN) or _of_google(usage)


def finish_reason_of(response: object) -> object:
    """Why the model ended, in its provider's words; None where it has not, or does not say."""
    return next((reason for way in _FINISHES if (reason := _follow(response, way)) is not None), None)


def text_of(piece: object) -> str:
    """What a piece of a stream adds to the answer; empty where it adds nothing."""
    if isinstance(piece, str):
        return piece
    return next((text for way in _TEXTS if isinstance(text := _follow(piece, way), str)), "")


def _is_anthropic(usage: object) -> bool:
    return any(_follow(usage, key) is not None for key in ("cache_read_input_tokens", "cache_creation_input_tokens"))


def _of_anthropic(usage: object) -> dict[str, int | float]:
    tokens = _read(usage, _ANTHROPIC)
    if "input" in tokens:  # which Anthropic counts without those of the cache
        tokens["input"] += tokens.get("cache_read", 0) + tokens.get("cache_write", 0)
    return tokens


def _of_google(usage: object) -> dict[str, int | float]:
    tokens = _read(usage, _GOOGLE)
    if "output" in tokens:  # which Google counts without those of reasoning
        tokens["output"] += tokens.get("reasoning", 0)
    return tokens


def _read(usage: object, ways: Mapping[str, tuple[str, ...]]) -> dict[str, int | float]:
    tokens = {}
    for kind, ways_of_kind in ways.items():
        numbers = (to_count(_follow(usage, way)) for way in ways_of_kind)
        if (number := next((number for number in numbers if number is not None), None)) is not None:
            tokens[kind] = number
    return tokens


def _follow(start: Any, way: str) -> Any:
    current = start
    for step in way.split("."):
        if current is None:
            return None
        if step.isdecimal():
            current = current[0] if isinstance(current, list | tuple) and current else None
        elif isinstance(current, Mapping):
            current = current.get(step)
        else:
            current = getattr(current, step, None)
    return current
