"""The tracing calls, as an app would make them."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any

import numpy
import pytest
from fastapi import Depends, FastAPI
from opentelemetry import propagate
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.trace import StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.testclient import TestClient

import otel_tutor
from otel_tutor.rag import observe_question
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
from tests.support.hostile import HOSTILE


def test_the_steps_of_a_question_nest(captured: Capture) -> None:
    with rag_tracer.trace_rag_query("what is light?", "physics"):
        with rag_tracer.trace_retrieval("what is light?", top_k=3):
            pass
        with rag_tracer.trace_generation(3), trace_model_inference("lsa", "int8", input_length=12):
            pass

    spans = {span.name: span for span in captured.spans}
    assert list(spans) == ["rag.retrieval", "chat lsa", "rag.generation", "rag.query"]
    for child, parent in [("rag.retrieval", "rag.query"), ("rag.generation", "rag.query"), ("chat lsa", "rag.generation")]:
        assert spans[child].parent == spans[parent].context


def test_the_text_of_a_question_is_kept_out(captured: Capture) -> None:
    with rag_tracer.trace_rag_query("am I stupid?", "physics"), rag_tracer.trace_retrieval("am I stupid?"):
        pass

    assert "stupid" not in "".join(span.to_json() for span in captured.spans)


def test_the_text_of_a_question_is_kept_where_asked_for(captured: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    with rag_tracer.trace_rag_query("what is light?", "physics"), rag_tracer.trace_retrieval("light"):
        pass

    retrieval, question = captured.spans
    assert (question.attributes or {})["rag.question.text"] == "what is light?"
    assert (retrieval.attributes or {})["rag.retrieval.query"] == "light"


def test_half_a_character_does_not_fail_the_export_of_a_trace(captured: Capture) -> None:
    with rag_tracer.trace_rag_query("why?", "phys\ud83d"), trace_operation("\ud83d", {"note": "\ud83d"}):
        pass

    assert encode_spans(captured.spans).ByteSize() > 0


def test_an_exception_is_recorded_once_and_goes_on(captured: Capture) -> None:
    with pytest.raises(ValueError, match="no"), trace_operation("step", {"attempt": 1}):
        raise ValueError("no")

    (span,) = captured.spans
    assert span.status.status_code is StatusCode.ERROR
    assert [event.name for event in span.events] == ["exception"]


def test_decorated_functions_are_spans_of_their_name(captured: Capture) -> None:
    @trace_function()
    def double(value: int) -> int:
        return 2 * value

    @trace_async_function()
    async def triple(value: int) -> int:
        return 3 * value

    assert (double(2), asyncio.run(triple(2))) == (4, 6)
    assert [span.name.rsplit(".", 1)[-1] for span in captured.spans] == ["double", "triple"]


def test_context_crosses_awaits_and_threads(captured: Capture) -> None:
    async def ask() -> tuple[str | None, str | None]:
        with trace_operation("outer"):
            return get_current_trace_id(), await asyncio.to_thread(get_current_trace_id)

    here, there = asyncio.run(ask())
    assert here == there
    assert here == f"{captured.spans[0].context.trace_id:032x}"


def test_outside_a_span_there_is_no_trace_and_events_go_nowhere() -> None:
    add_span_event("nothing")
    assert get_current_trace_id() is None


def test_events_are_noted_on_the_span_in_progress(captured: Capture) -> None:
    with trace_operation("outer"):
        add_span_event("cache miss", {"key": "k"})

    assert [(event.name, dict(event.attributes or {})) for event in captured.spans[0].events] == [
        ("cache miss", {"key": "k"})
    ]


def test_context_crosses_executors_and_threads_of_ones_own(captured: Capture) -> None:
    seen: list[str | None] = []
    with trace_operation("outer"), ThreadPoolExecutor(1) as executor:
        seen.append(executor.submit(get_current_trace_id).result())
        thread = threading.Thread(target=lambda: seen.append(get_current_trace_id()))
        thread.start()
        thread.join()

    assert seen == [f"{captured.spans[0].context.trace_id:032x}"] * 2


def test_the_trace_goes_on_in_a_service_that_is_called(captured: Capture) -> None:
    with trace_operation("outer") as span:
        headers = trace_headers()

    context = span.get_span_context()
    assert headers["traceparent"].startswith(f"00-{context.trace_id:032x}-{context.span_id:016x}-")


def test_a_cancelled_operation_is_no_failure(captured: Capture) -> None:
    with pytest.raises(asyncio.CancelledError), trace_operation("step"):
        raise asyncio.CancelledError

    assert captured.spans[0].status.status_code is StatusCode.UNSET


def test_a_dependency_of_fastapi_that_yields_is_a_span_and_logs_nothing(
    captured: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    def session() -> Iterator[str]:  # entered in one thread, left in another
        with trace_operation("session"), observe_question("why?", "physics"):
            yield "session"

    async def connection() -> AsyncIterator[str]:
        with trace_operation("connection"):
            yield "connection"

    app = FastAPI()

    @app.get("/ask")
    def ask(first: Annotated[str, Depends(session)], second: Annotated[str, Depends(connection)]) -> str:
        return f"{first} {second}"

    otel_tutor.configure(app)

    assert TestClient(app).get("/ask").json() == "session connection"
    assert sorted(span.name for span in captured.spans) == ["GET /ask", "connection", "rag.query", "session"]
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


NAMES: list[Any] = [None, 7, b"work", object(), ["work"], 10**5000, *HOSTILE.values()]
ATTRIBUTES: list[Any] = [5, "text", [("attempt", 1)], {1: 2, "": 3}, {"nested": {"deep": [object()]}}, *HOSTILE.values()]


@pytest.mark.parametrize("number", range(len(NAMES)))  # pytest would print the values
def test_a_name_may_be_anything(captured: Capture, number: int) -> None:
    name = NAMES[number]
    with trace_operation(name, {"attempt": 1}) as span:
        add_span_event(name, {"key": name})
        model, question = trace_model_inference(name, name, name), rag_tracer.trace_rag_query(name, name)
        with model, question, rag_tracer.trace_retrieval(name, name), rag_tracer.trace_generation(name):
            pass

    assert span.is_recording() is False
    assert len(captured.spans) == 5
    assert encode_spans(captured.spans).ByteSize() > 0


@pytest.mark.parametrize("number", range(len(ATTRIBUTES)))
def test_attributes_may_be_anything(captured: Capture, number: int) -> None:
    attributes = ATTRIBUTES[number]
    with trace_operation("work", attributes):
        add_span_event("event", attributes)

    (span,) = captured.spans
    assert [event.name for event in span.events] == ["event"]
    assert encode_spans(captured.spans).ByteSize() > 0


def test_pairs_are_attributes_and_an_enum_is_its_value(captured: Capture) -> None:
    class Subject(Enum):
        PHYSICS = "physics"

    pairs: Any = [("subject", Subject.PHYSICS), ("documents", numpy.int64(3)), ("score", Decimal("0.5"))]
    with trace_operation("work", pairs):
        pass

    assert dict(captured.spans[0].attributes or {}) == {"subject": "physics", "documents": 3, "score": 0.5}


def test_a_block_is_a_decorator_too(captured: Capture) -> None:
    @trace_operation("lesson", {"pages": 2})  # type: ignore[operator]  # as blocks of contextlib are
    async def lesson() -> str | None:
        await asyncio.sleep(0)
        return get_current_trace_id()

    assert asyncio.run(lesson()) == f"{captured.spans[0].context.trace_id:032x}"
    assert [(span.name, dict(span.attributes or {})) for span in captured.spans] == [("lesson", {"pages": 2})]


def test_a_propagator_that_fails_costs_its_headers_only(captured: Capture) -> None:
    class Broken(TraceContextTextMapPropagator):
        def inject(self, *_: Any, **__: Any) -> None:
            raise RuntimeError("broken")

    before = propagate.get_global_textmap()
    propagate.set_global_textmap(Broken())
    try:
        with trace_operation("outer"):
            assert trace_headers() == {}
    finally:
        propagate.set_global_textmap(before)
