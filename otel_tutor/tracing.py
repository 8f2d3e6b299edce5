"""What an app traces: spans around its operations and around the steps of a question.

Every call is safe before `configure()`. An exception inside a context manager or decorated function is recorded on the
span, sets its status to error and goes on to the caller unchanged.
"""

import functools
import os
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, ParamSpec, TypeVar

from opentelemetry import trace
from opentelemetry.trace import Span
from opentelemetry.util.types import AttributeValue

from otel_tutor import catalogue
from otel_tutor.instruments import sendable

__all__ = [
    "RagTracer",
    "add_span_event",
    "get_current_trace_id",
    "rag_tracer",
    "trace_async_function",
    "trace_function",
    "trace_model_inference",
    "trace_operation",
    "tracer",
]

P = ParamSpec("P")
R = TypeVar("R")
Attributes = Mapping[str, AttributeValue]

# The opt-in of the GenAI semantic conventions. Question text is personal data: it is kept out of spans unless asked for.
_CAPTURE_CONTENT: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


def _captures_content() -> bool:
    return os.environ.get(_CAPTURE_CONTENT, "").upper() in {"SPAN_ONLY", "SPAN_AND_EVENT"}


@functools.cache
def tracer() -> trace.Tracer:
    """The tracer of everything that is traced here. Taken before `configure()`, it traces nothing until then."""
    return trace.get_tracer("otel_tutor")


@contextmanager
def _span(name: str, attributes: Attributes) -> Iterator[Span]:
    fit = {key: sendable(value) if isinstance(value, str) else value for key, value in attributes.items()}
    with tracer().start_as_current_span(sendable(name), attributes=fit) as span:
        yield span


def trace_operation(name: str, attributes: Attributes | None = None) -> AbstractContextManager[Span]:
    """A span around a block of code; the block gets the span."""
    return _span(name, attributes or {})


def trace_function() -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A span around each call of a function, named after it."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            with _span(function.__qualname__, {}):
                return function(*args, **kwargs)

        return call

    return decorate


def trace_async_function() -> Callable[[Callable[P, Coroutine[Any, Any, R]]], Callable[P, Coroutine[Any, Any, R]]]:
    """A span around each call of a coroutine function, named after it."""

    def decorate(function: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
        @functools.wraps(function)
        async def call(*args: P.args, **kwargs: P.kwargs) -> R:
            with _span(function.__qualname__, {}):
                return await function(*args, **kwargs)

        return call

    return decorate


class RagTracer:
    """Spans for the steps of answering a question: the question itself, finding passages, writing the answer."""

    def trace_rag_query(self, question: str, subject: str) -> AbstractContextManager[Span]:
        """A span around a whole question. Its text is recorded only where content capture is switched on."""
        attributes: dict[str, AttributeValue] = {catalogue.SUBJECT.key: subject, "rag.question.length": len(question)}
        if _captures_content():
            attributes["rag.question.text"] = question
        return _span("rag.query", attributes)

    def trace_retrieval(self, query: str, top_k: int = 5) -> AbstractContextManager[Span]:
        """A span around the search for passages; `top_k` is how many were asked for."""
        attributes: dict[str, AttributeValue] = {"rag.retrieval.top_k": top_k}
        if _captures_content():
            attributes["rag.retrieval.query"] = query
        return _span("rag.retrieval", attributes)

    def trace_generation(self, num_context_documents: int) -> AbstractContextManager[Span]:
        """A span around the writing of an answer from that many passages."""
        return _span("rag.generation", {catalogue.RAG_DOCUMENTS.name: num_context_documents})


rag_tracer: Final = RagTracer()


def trace_model_inference(
    model_name: str, quantization_type: str, input_length: int | None = None
) -> AbstractContextManager[Span]:
    """A span around one call to a model, after the GenAI semantic conventions; `input_length` in tokens, if known."""
    attributes: dict[str, AttributeValue] = {
        "gen_ai.operation.name": "chat",
        catalogue.MODEL.key: model_name,
        catalogue.QUANTIZATION.key: quantization_type,
    }
    if input_length is not None:
        attributes["gen_ai.usage.input_tokens"] = input_length
    return _span(f"chat {model_name}", attributes)


def get_current_trace_id() -> str | None:
    """The id of the trace in progress as 32 hexadecimal digits, or None outside a span."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None


def add_span_event(name: str, attributes: Attributes | None = None) -> None:
    """Note something that happened, with its time, on the span in progress; outside a span, nothing."""
    trace.get_current_span().add_event(name, dict(attributes or {}))
