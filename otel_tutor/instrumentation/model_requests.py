"""HTTP requests of models' clients, so that retries and rate limits show. A call with retries is one call to a model.

The clients of OpenAI, Anthropic, Google, Ollama and LiteLLM send by httpx or its successor httpx2. Their `send` is wrapped
as they are imported. A request is a model's by its headers and path. No address, header or text is recorded.
"""

import asyncio
import re
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

import wrapt
from opentelemetry import context, trace

from otel_tutor import catalogue
from otel_tutor.recording import clock
from otel_tutor.recording.guard import attempt, never_raise
from otel_tutor.recording.instruments import add, labels, record
from otel_tutor.recording.operation import MODEL, Operation
from otel_tutor.recording.values import UNKNOWN

__all__ = ["ModelRequests"]

# The clients that Stainless generates (OpenAI, Anthropic and more) and Google's have a header of their own.
_HEADERS: Final = ("x-stainless-lang", "x-goog-api-client")
_RETRY_COUNT: Final = "x-stainless-retry-count"  # of the attempts before
_AGENTS: Final = ("ollama-python/", "litellm/")
# Beside these they list models, files and the like.
_PATHS: Final = re.compile(
    r"/(chat/completions|completions|responses|messages|embeddings)$"
    r"|:(streamGenerateContent|generateContent|(batch)?[eE]mbedContents?)$|/api/(chat|generate|embed|embeddings)$"
)
_TOO_MANY: Final = 429
_SERVER_ERROR: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    """An attempt that failed. place: what a retry of it has in common with it."""

    at: float
    place: tuple[str, int]


_last_failure: ContextVar[_Failure | None] = ContextVar("otel_tutor.last_failure", default=None)


class ModelRequests:
    """Starts and is asked as an instrumentation of OpenTelemetry's is, so that users name it as one of those."""

    is_instrumented_by_opentelemetry = False

    def instrument(self, **_: Any) -> None:
        """Observe the two HTTP clients, imported or not. What was wrapped stays so."""
        type(self).is_instrumented_by_opentelemetry = True
        for module in ("httpx", "httpx2"):
            wrapt.register_post_import_hook(never_raise(_observe), module)


def _observe(module: Any) -> None:
    wrapt.wrap_function_wrapper(module.Client, "send", _send)
    wrapt.wrap_function_wrapper(module.AsyncClient, "send", _send_async)


def _send(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    request = args[0] if args else kwargs.get("request")
    if not attempt(_is_for_a_model, request):
        return wrapped(*args, **kwargs)
    attempt(_begin, request)
    try:
        response = wrapped(*args, **kwargs)
    except BaseException as error:
        attempt(_end, request, _status_of(error))
        raise
    attempt(_end, request, response.status_code)
    return response


async def _send_async(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    request = args[0] if args else kwargs.get("request")
    if not attempt(_is_for_a_model, request):
        return await wrapped(*args, **kwargs)
    attempt(_begin, request)
    try:
        response = await wrapped(*args, **kwargs)
    except BaseException as error:
        attempt(_end, request, _status_of(error))
        raise
    attempt(_end, request, response.status_code)
    return response


def _is_for_a_model(request: Any) -> bool:
    headers = request.headers
    known = any(name in headers for name in _HEADERS) or headers.get("user-agent", "").startswith(_AGENTS)
    return known and _PATHS.search(request.url.path) is not None


def _status_of(error: BaseException) -> str:
    if isinstance(error, asyncio.CancelledError | GeneratorExit | KeyboardInterrupt):
        return "cancelled"
    return "timeout" if "Timeout" in type(error).__name__ else "error"


def _begin(request: Any) -> None:
    """If the attempt before this one failed, this is a retry: measure how long it was waited for."""
    failure = _last_failure.get()
    if failure is not None:
        _last_failure.set(None)
        number = request.headers.get(_RETRY_COUNT)
        if (failure.place == _place(request)) if number is None else number != "0":
            record(catalogue.MODEL_RETRY_WAIT, clock.now() - failure.at, labels((catalogue.MODEL, _model())))


def _end(request: Any, status: int | str) -> None:
    add(catalogue.MODEL_REQUESTS, 1, labels((catalogue.MODEL, _model()), (catalogue.STATUS_CODE, status)))
    if status == "cancelled" or (isinstance(status, int) and status < _SERVER_ERROR and status != _TOO_MANY):
        return
    _last_failure.set(_Failure(at=clock.now(), place=_place(request)))
    trace.get_current_span().add_event("attempt failed", {catalogue.STATUS_CODE.key: status})


def _place(request: Any) -> tuple[str, int]:
    return f"{request.url.host}{request.url.path}", trace.get_current_span().get_span_context().span_id


def _model() -> object:
    """The model, as far as a block by hand or the span of a library says it."""
    block = context.get_value(MODEL)
    span = block.span if isinstance(block, Operation) else trace.get_current_span()
    return (getattr(span, "attributes", None) or {}).get(catalogue.MODEL.key, UNKNOWN)
