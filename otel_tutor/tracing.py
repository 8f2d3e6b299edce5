"""What an app traces: spans around its operations and around the steps of a question.

Every call is safe before `configure()`, and with any argument. An exception inside a context manager or decorated function
is recorded on the span, sets its status to error and goes on to the caller unchanged. What clients do is no error, and a
deadline that passes is one: see `otel_tutor.recording.outcome`.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, TypeVar, overload

from opentelemetry import propagate, trace
from opentelemetry.trace import Span

from otel_tutor import catalogue
from otel_tutor.recording.attributes import Attributes, to_attributes
from otel_tutor.recording.content import captures_in_spans
from otel_tutor.recording.cost import USAGE
from otel_tutor.recording.decoration import instrument, name_of
from otel_tutor.recording.guard import attempt, never_raise
from otel_tutor.recording.operation import (
    GENERATION,
    MODEL,
    QUESTION,
    RETRIEVAL,
    Block,
    Operation,
    current_operation,
    tracer,
)
from otel_tutor.recording.origin import SUBJECT
from otel_tutor.recording.values import to_name, to_text

__all__ = [
    "RagTracer",
    "add_span_event",
    "get_current_trace_id",
    "rag_tracer",
    "trace_async_function",
    "trace_function",
    "trace_headers",
    "trace_model_inference",
    "trace_operation",
    "tracer",
]

F = TypeVar("F", bound=Callable[..., Any])

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"


def trace_operation(name: str, attributes: Attributes | None = None) -> AbstractContextManager[Span]:
    """A span around a block of code, which gets the span; or, as a decorator, around each call of a function."""
    return Block(name, attributes)


@overload
def trace_function() -> Callable[[F], F]: ...
@overload
def trace_function(function: F, /) -> F: ...
def trace_function(function: Any = None, /) -> Any:
    """A span around each call of a function, named after it.

    Every kind of callable: functions, methods, generators and their async kinds, partials, objects, classes. A generator's
    span ends when it is exhausted or closed, that of a function that returns an awaitable when it was awaited.
    """

    def decorate(function: F) -> F:
        name = attempt(name_of, function)
        return instrument(function, lambda: Operation(name, {}))

    return decorate if function is None else decorate(function)


@overload
def trace_async_function() -> Callable[[F], F]: ...
@overload
def trace_async_function(function: F, /) -> F: ...
def trace_async_function(function: Any = None, /) -> Any:
    """The same; the name says that the function is a coroutine function or an async generator."""
    return trace_function(function) if function is not None else trace_function()


class RagTracer:
    """Spans for the steps of answering a question: the question itself, finding passages, writing the answer.

    Inside a step of `otel_tutor.rag` they give the span of that step, not a second one.
    """

    def trace_rag_query(self, question: str, subject: str) -> AbstractContextManager[Span]:
        """A span around a whole question. Its text is recorded only where content capture is switched on."""
        if (step := current_operation(QUESTION)) is not None:
            return nullcontext(step.span)
        return Block("rag.query", question_attributes(question, subject), {SUBJECT: lambda: subject})

    def trace_retrieval(self, query: str, top_k: int = 5) -> AbstractContextManager[Span]:
        """A span around the search for passages; `top_k` is how many were asked for."""
        return _step(RETRIEVAL, "rag.retrieval", retrieval_attributes(query, top_k))

    def trace_generation(self, num_context_documents: int) -> AbstractContextManager[Span]:
        """A span around the writing of an answer from that many passages."""
        return _step(GENERATION, "rag.generation", {catalogue.RAG_DOCUMENTS.name: num_context_documents})


rag_tracer: Final = RagTracer()


def trace_model_inference(
    model_name: str, quantization_type: str, input_length: int | None = None
) -> AbstractContextManager[Span]:
    """A span around one call to a model, after the GenAI semantic conventions; `input_length` in tokens, if known."""
    return _step(MODEL, chat_with(model_name), model_attributes(model_name, quantization_type, input_length))


def _step(role: str, name: str, attributes: Attributes) -> AbstractContextManager[Span]:
    step = current_operation(role)
    return Block(name, attributes) if step is None else nullcontext(step.span)


def chat_with(model_name: object) -> str:
    """The name of the span of a call to a model."""
    return f"chat {to_name(model_name)}"


def question_attributes(question: object, subject: object) -> Attributes:
    """The attributes of a question's span."""
    text = to_text(question) or ""
    attributes: dict[str, object] = {catalogue.SUBJECT.key: to_name(subject), "rag.question.length": len(text)}
    if captures_in_spans():
        attributes["rag.question.text"] = text
    return to_attributes(attributes)


def retrieval_attributes(query: object, top_k: object) -> Attributes:
    """The attributes of a retrieval's span."""
    attributes: dict[str, object] = {"rag.retrieval.top_k": top_k}
    if captures_in_spans():
        attributes["rag.retrieval.query"] = to_text(query)
    return to_attributes(attributes)


def model_attributes(model_name: object, quantization_type: object, input_tokens: object = None) -> Attributes:
    """The attributes of the span of a call to a model, after the GenAI semantic conventions."""
    return to_attributes(
        {
            OPERATION: "chat",
            catalogue.MODEL.key: to_name(model_name),
            catalogue.QUANTIZATION.key: to_name(quantization_type),
            USAGE["input"]: input_tokens,
        }
    )


def get_current_trace_id() -> str | None:
    """The id of the trace in progress as 32 hexadecimal digits, or None outside a span."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None


@never_raise
def add_span_event(name: str, attributes: Attributes | None = None) -> None:
    """Note something that happened, with its time, on the span in progress; outside a span, nothing."""
    trace.get_current_span().add_event(to_name(name), to_attributes(attributes))


def trace_headers() -> dict[str, str]:
    """Headers that carry the trace in progress to the service which an HTTP request goes to (W3C trace context)."""
    headers: dict[str, str] = {}
    attempt(propagate.inject, headers)
    return headers
