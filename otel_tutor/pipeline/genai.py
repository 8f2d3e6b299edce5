"""What spans of other libraries say of calls to models, in the conventions that these libraries follow.

OpenTelemetry's GenAI conventions, present and former, which OpenLLMetry and OpenLIT use as well, and OpenInference's.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.trace import StatusCode

from otel_tutor import catalogue
from otel_tutor.prices import Seller
from otel_tutor.recording.cost import COST, USAGE
from otel_tutor.recording.instruments import SUCCESS
from otel_tutor.recording.outcome import CANCELLED, ERROR
from otel_tutor.recording.values import to_count, to_number

__all__ = [
    "EMBEDDINGS",
    "EVENT_NAME",
    "INFERENCE",
    "ModelCall",
    "is_about_models",
    "is_event",
    "is_named_like_a_call",
    "is_step",
    "model_of",
    "of_call",
    "operation_of",
    "read_call",
    "without_call",
]

EVENT_NAME: Final = "event.name"
INFERENCE: Final = "inference"
EMBEDDINGS: Final = "embeddings"

_OPERATIONS: Final = {
    "chat": INFERENCE,
    "completion": INFERENCE,  # OpenLLMetry's former llm.request.type
    "text_completion": INFERENCE,
    "generate_content": INFERENCE,
    "embeddings": EMBEDDINGS,
    "embedding": EMBEDDINGS,
    "LLM": INFERENCE,  # OpenInference's kinds
    "EMBEDDING": EMBEDDINGS,
}
# Attributes by what they say; of several, the first that is there.
_OPERATION: Final = ("gen_ai.operation.name", "llm.request.type", "openinference.span.kind", "traceloop.span.kind")
_MODEL: Final = (
    "gen_ai.request.model",
    "gen_ai.response.model",
    "llm.model_name",
    "embedding.model_name",
)
_PROVIDER: Final = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
_FINISHES: Final = ("gen_ai.response.finish_reasons", "llm.finish_reason", "gen_ai.completion.0.finish_reason")
_LEFT: Final = {"GeneratorExit", "CancelledError", "KeyboardInterrupt"}
_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"  # seconds
_PARAMETERS: Final = "llm.invocation_parameters"  # of OpenInference, as JSON: the one place where it has the model asked for
_TOKENS: Final = {
    "input": (USAGE["input"], "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"),
    "output": (USAGE["output"], "gen_ai.usage.completion_tokens", "llm.token_count.completion"),
    "cache_read": (
        USAGE["cache_read"],
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.prompt_tokens_details.cached_tokens",
        "llm.token_count.prompt_details.cache_read",
    ),
    "cache_write": (
        USAGE["cache_write"],
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.cache_write_input_tokens",
        "gen_ai.usage.prompt_tokens_details.cache_creation_tokens",
        "llm.token_count.prompt_details.cache_write",
    ),
    "reasoning": (
        USAGE["reasoning"],
        "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.completion_tokens_details.reasoning_tokens",
        "llm.usage.reasoning_tokens",
        "llm.token_count.completion_details.reasoning",
    ),
}
_CALL: Final = re.compile(
    r"gen_ai\.(operation\.name|usage\.)|llm\.(request\.type|usage\.|token_count\.)|openinference\.span\.kind"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """One call to a model. operation: INFERENCE or EMBEDDINGS. tokens: by type, those that are known."""

    operation: str
    model: str
    tokens: Mapping[str, int]
    outcome: str
    seconds: float | None
    seller: Seller
    finish_reasons: Sequence[str]
    first_chunk: float | None  # seconds


def operation_of(attributes: Mapping[str, Any] | None) -> str | None:
    """INFERENCE or EMBEDDINGS by the attributes of a span; None for one that is no call to a model."""
    return _OPERATIONS.get(str(_first(attributes or {}, _OPERATION)))


def is_named_like_a_call(name: str) -> bool:
    """Whether the name of a span begins as the conventions have it: some libraries set the attributes later."""
    return name.split(" ", maxsplit=1)[0] in _OPERATIONS


def is_event(attributes: Mapping[str, Any] | None) -> bool:
    """Whether a log record is an event by its attribute, as libraries wrote them before records had event names."""
    return bool(attributes) and EVENT_NAME in (attributes or {})


def is_about_models(attributes: Mapping[str, Any] | None) -> bool:
    """Whether a span is in the conventions of these libraries at all."""
    return _first(attributes or {}, _OPERATION) is not None


def is_step(attributes: Mapping[str, Any] | None) -> bool:
    """Whether a span is about something else in these conventions: an agent, a tool, a workflow, a search."""
    return is_about_models(attributes) and operation_of(attributes) is None


def read_call(span: Any) -> ModelCall | None:
    """The call that an ended span is about, or None."""
    attributes = span.attributes or {}
    operation = operation_of(attributes)
    if operation is None:
        return None
    known = {kind: to_count(_first(attributes, keys)) for kind, keys in _TOKENS.items()}
    known["input"] = _whole_input(known, span.instrumentation_scope, _first(attributes, _PROVIDER))
    return ModelCall(
        operation=operation,
        model=model_of(attributes),
        tokens={kind: int(number) for kind, number in known.items() if number is not None},
        outcome=_outcome_of(span),
        seconds=(span.end_time - span.start_time) / 1e9 if span.end_time and span.start_time else None,
        finish_reasons=_finish_reasons(attributes),
        first_chunk=to_number(attributes.get(_FIRST_CHUNK)),
        seller=Seller(provider=_first(attributes, _PROVIDER), address=attributes.get("server.address")),
    )


def _whole_input(known: Mapping[str, int | float | None], scope: Any, provider: object) -> int | float | None:
    """The tokens of the input, those of the cache included. OpenLIT passes on Anthropic's number, which is without them."""
    counted = known["input"]
    if counted is None or provider != "anthropic" or not scope.name.startswith("openlit"):
        return counted
    return counted + (known["cache_read"] or 0) + (known["cache_write"] or 0)


def _outcome_of(span: Any) -> str:
    """How a call ended: a stream that is left is an error to some libraries."""
    error = _error_type_of(span)
    if error is not None and error.rpartition(".")[2] in _LEFT:
        return CANCELLED
    return SUCCESS if error is None and span.status.status_code is not StatusCode.ERROR else ERROR


def _error_type_of(span: Any) -> str | None:
    exceptions = (event.attributes.get("exception.type") for event in span.events if event.name == "exception")
    error = (span.attributes or {}).get("error.type") or next(exceptions, None)
    return None if error is None else str(error)


def _finish_reasons(attributes: Mapping[str, Any]) -> Sequence[str]:
    given = _first(attributes, _FINISHES)
    return tuple(map(str, given)) if isinstance(given, list | tuple) else () if given is None else (str(given),)


def model_of(attributes: Mapping[str, Any]) -> str:
    """The model that was asked for, or else the one that answered; empty where neither is known yet."""
    return str(_requested(attributes) or _first(attributes, _MODEL) or "")


def _requested(attributes: Mapping[str, Any]) -> object:
    parameters = attributes.get(_PARAMETERS)
    try:
        read = json.loads(parameters) if isinstance(parameters, str) else None
    except ValueError:  # the SDK cuts long attributes
        return None
    return read.get("model") if isinstance(read, dict) else None


def of_call(span: Any, call: ModelCall, cost: float | None) -> tuple[str, dict[str, Any]]:
    """The name and the attributes of a call's span as the present conventions have them, whichever its library follows.

    Its cost is ours: some libraries write 0 for a model that they have no price of.
    """
    verb = "chat" if call.operation == INFERENCE else "embeddings"
    before = span.attributes or {}
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": verb,
        catalogue.MODEL.key: call.model,
        "gen_ai.provider.name": _first(before, _PROVIDER),
        **{USAGE[kind]: number for kind, number in call.tokens.items()},
    }
    if call.outcome == ERROR:
        attributes["error.type"] = _error_type_of(span) or "_OTHER"
    missing = {key: value for key, value in attributes.items() if key not in before and value is not None}
    name = span.name if span.name.startswith(f"{before.get('gen_ai.operation.name')} ") else f"{verb} {call.model}".strip()
    paid = {} if cost is None else {COST: cost}
    return name, {**{key: value for key, value in before.items() if key != COST}, **missing, **paid}


def without_call(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a span that repeats a call which another span is about: without what makes it count."""
    return {key: value for key, value in attributes.items() if not _CALL.match(key)}


def _first(attributes: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    return next((attributes[key] for key in keys if attributes.get(key) is not None), None)
