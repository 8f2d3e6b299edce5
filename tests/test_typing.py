"""The public API as a type checker sees it: mypy reads this file in strict mode, and it runs as well."""

from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Generator, Iterator
from typing import Any, assert_type

from opentelemetry.trace import Span
from starlette.applications import Starlette

import otel_tutor
from otel_tutor.health import HealthCheck, HealthStatus, health_service
from otel_tutor.logs import TraceFormatter
from otel_tutor.monitoring import metrics_collector, track_async_time, track_time
from otel_tutor.rag import Generation, Question, Retrieval, observe_question
from otel_tutor.testing import Capture
from otel_tutor.tracing import (
    add_span_event,
    get_current_trace_id,
    rag_tracer,
    trace_async_function,
    trace_function,
    trace_headers,
    trace_model_inference,
    trace_operation,
)


class Library(HealthCheck):
    def __init__(self) -> None:
        super().__init__("library", critical=False)

    async def check(self) -> dict[str, Any]:
        return {"status": HealthStatus.HEALTHY, "message": "reachable", "details": {}}


@track_time("lesson", {"component": "rag"})
@trace_function()
def lesson(pages: int) -> str:
    return "page " * pages


@track_async_time("lookup")
@trace_async_function()
async def look_up(word: str) -> int:
    return len(word)


@trace_function()
def pages(count: int) -> Iterator[str]:
    yield from ("page",) * count


def test_decorators_keep_the_type_of_what_they_decorate() -> None:
    assert_type(lesson(2), str)
    assert_type(pages(1), Iterator[str])
    assert lesson(1) == "page "
    assert list(pages(1)) == ["page"]


def test_configure_takes_an_app_and_settings(captured: Capture) -> None:
    assert_type(otel_tutor.configure(Starlette(), service_name="tutor"), None)
    assert_type(captured.value("http_requests_total", method="GET"), float)
    assert_type(captured.count("rag_retrieval_duration_seconds"), int)


async def pieces() -> AsyncIterator[bytes]:
    yield b"answer"


def test_a_question_and_its_steps_are_typed() -> None:
    with observe_question("why?", subject="physics", topic=None) as question:
        assert_type(question, Question)
        with question.retrieval(top_k=5) as retrieval:
            assert_type(retrieval, Retrieval)
        with question.generation("model", "int8", 12) as generation:
            assert_type(generation, Generation)
        assert_type(question.generation("model").stream(pieces()), AsyncGenerator[bytes, None])
        assert_type(question.generation("model").stream(["a"]), Generator[str, None, None])


def test_the_single_calls_are_typed() -> None:
    with trace_operation("work", {"pages": 1}) as span, rag_tracer.trace_rag_query("why?", "physics"):
        assert_type(span, Span)
    with rag_tracer.trace_retrieval("why?", top_k=5), rag_tracer.trace_generation(num_context_documents=5):
        add_span_event("cache miss", {"key": "k"})
    with trace_model_inference("model", "int8", input_length=512):
        assert_type(get_current_trace_id(), str | None)
    assert_type(trace_headers(), dict[str, str])
    metrics_collector.track_rag_query("physics", retrieval_duration=0.1, num_documents=3, status="failed")
    metrics_collector.track_model_inference("model", "int8", 1.4, None, None, "success")
    assert_type(health_service.check_liveness(), Coroutine[Any, Any, dict[str, Any]]).close()
    assert Library().name == "library"
    assert TraceFormatter("%(trace_id)s").usesTime() is False
