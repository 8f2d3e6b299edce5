"""One call for a question: its spans and its measurements, once, whichever way it ends."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from opentelemetry.trace import StatusCode
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

import otel_tutor
from otel_tutor.monitoring import metrics_collector
from otel_tutor.rag import Question, observe_question
from otel_tutor.testing import Capture, Point
from otel_tutor.tracing import get_current_trace_id, rag_tracer, trace_model_inference

Metrics = dict[str, list[Point]]


def answer(question: Question) -> None:
    with question.retrieval(top_k=3) as retrieval:
        retrieval.documents = 2
    with question.generation("llama", "q4", input_tokens=40) as generation:
        generation.output_tokens = 7


def outcomes(metrics: Metrics, name: str) -> dict[str, float | None]:
    return {point.attributes["tutor.outcome"]: point.value for point in metrics.get(name, [])}


def test_an_answered_question_is_all_its_series_once(captured: Capture) -> None:
    with observe_question("what is light?", "physics", "optics") as question:
        answer(question)

    metrics = captured.read_metrics()
    assert outcomes(metrics, "rag.queries") == {"success": 1}
    assert outcomes(metrics, "gen_ai.client.operations") == {"success": 1}
    assert [point.sum for point in metrics["rag.context.documents"]] == [2]
    assert [point.count for point in metrics["rag.generation.duration"]] == [1]
    assert sorted(point.sum or 0 for point in metrics["gen_ai.client.token.usage"]) == [7, 40]
    (asked,) = metrics["student.questions"]
    assert (asked.value, dict(asked.attributes)) == (1, {"tutor.subject": "physics", "tutor.topic": "optics"})


def test_its_steps_nest_as_spans_without_its_text(captured: Capture) -> None:
    with observe_question("am I stupid?", "physics") as question:
        answer(question)

    spans = {span.name: span for span in captured.spans}
    assert list(spans) == ["rag.retrieval", "chat llama", "rag.generation", "rag.query"]
    for child, parent in [("rag.retrieval", "rag.query"), ("rag.generation", "rag.query"), ("chat llama", "rag.generation")]:
        assert spans[child].parent == spans[parent].context
    assert (spans["chat llama"].attributes or {})["gen_ai.usage.output_tokens"] == 7
    assert "stupid" not in "".join(span.to_json() for span in spans.values())


def test_what_is_recorded_points_to_its_trace(captured: Capture) -> None:
    with observe_question("why?", "physics") as question:
        answer(question)

    metrics, trace_id = captured.read_metrics(), captured.spans[0].context.trace_id
    for name in ("rag.retrieval.duration", "rag.generation.duration", "model.inference.duration"):
        assert metrics[name][0].exemplar_trace_ids == (trace_id,)


@pytest.mark.parametrize("where", ["before", "retrieval", "generation"])
def test_a_failure_counts_once_as_an_error_wherever_it_happens(captured: Capture, where: str) -> None:
    def fail(here: str) -> None:
        if here == where:
            raise ValueError("no")

    def ask() -> None:
        with observe_question("why?", "physics") as question:
            fail("before")
            with question.retrieval():
                fail("retrieval")
            with question.generation("llama"):
                fail("generation")

    with pytest.raises(ValueError, match="no"):
        ask()

    metrics = captured.read_metrics()
    assert outcomes(metrics, "rag.queries") == {"error": 1}
    assert outcomes(metrics, "gen_ai.client.operations") == ({"error": 1} if where == "generation" else {})
    assert ("rag.retrieval.duration" in metrics) is (where == "generation")  # the retrieval was done then
    assert "rag.generation.duration" not in metrics
    assert captured.spans[-1].status.status_code is StatusCode.ERROR
    assert all(len(span.events) <= 1 for span in captured.spans)


def test_the_subject_may_be_known_only_later(captured: Capture) -> None:
    with observe_question("why?", "unknown") as question:
        question.subject, question.topic = "biology", "cells"

    (asked,) = captured.read_metrics()["student.questions"]
    assert dict(asked.attributes) == {"tutor.subject": "biology", "tutor.topic": "cells"}


def test_low_level_calls_inside_take_its_place(captured: Capture) -> None:
    with observe_question("why?", "physics") as question:
        with question.retrieval(), rag_tracer.trace_rag_query("why?", "physics"), rag_tracer.trace_retrieval("why?"):
            pass
        with question.generation("llama", "q4"), rag_tracer.trace_generation(1), trace_model_inference("llama", "q4"):
            metrics_collector.track_model_inference("llama", "q4", 0.5, 1, 1, "success")
        metrics_collector.track_student_activity("physics", "optics")
        metrics_collector.track_rag_query("physics", 0.25, 4, 0.5)

    metrics = captured.read_metrics()
    assert [point.sum for point in metrics["rag.retrieval.duration"]] == [0.25]
    assert [point.sum for point in metrics["gen_ai.client.operation.duration"]] == [0.5]
    assert [point.value for point in metrics["student.questions"]] == [1]
    assert len(captured.spans) == 4


async def pieces(seen: list[str | None]) -> AsyncIterator[str]:
    for word in ("because", " of", " waves"):
        seen.append(get_current_trace_id())
        yield word
        await asyncio.sleep(0)


def streaming_app(seen: list[str | None]) -> Starlette:
    async def ask(_: Request) -> Response:
        with observe_question("why?", "physics") as question:
            answer_pieces = question.generation("llama", "q4").stream(pieces(seen))
            return StreamingResponse(answer_pieces)

    app = Starlette(routes=[Route("/ask", ask)])
    otel_tutor.configure(app)
    return app


def test_a_streamed_answer_ends_with_its_last_piece(captured: Capture) -> None:
    seen: list[str | None] = []
    assert TestClient(streaming_app(seen)).get("/ask").text == "because of waves"

    metrics, spans = captured.read_metrics(), {span.name: span for span in captured.spans}
    assert set(spans) == {"chat llama", "rag.generation", "rag.query", "GET /ask"}
    assert spans["rag.query"].parent == spans["GET /ask"].context
    assert set(seen) == {f"{spans['rag.query'].context.trace_id:032x}"}
    assert [point.count for point in metrics["gen_ai.client.operation.time_to_first_chunk"]] == [1]
    assert outcomes(metrics, "gen_ai.client.operations") == {"success": 1}
    assert outcomes(metrics, "rag.queries") == {"success": 1}


def test_a_client_that_goes_away_ends_a_streamed_answer_as_cancelled(captured: Capture) -> None:
    async def ask_and_leave() -> None:
        app, gone = streaming_app([]), asyncio.Event()

        async def receive() -> dict[str, object]:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, object]) -> None:
            if message["type"] == "http.response.body":
                gone.set()
                await asyncio.sleep(60)

        scope = {"type": "http", "method": "GET", "path": "/ask", "headers": [], "query_string": b"", "root_path": ""}
        await app({**scope, "http_version": "1.1", "scheme": "http", "asgi": {"spec_version": "2.0"}}, receive, send)  # type: ignore[arg-type]  # plain dicts

    asyncio.run(ask_and_leave())

    metrics = captured.read_metrics()
    assert outcomes(metrics, "gen_ai.client.operations") == {"cancelled": 1}
    assert outcomes(metrics, "rag.queries") == {"cancelled": 1}
    rag = [span for span in captured.spans if span.name.startswith(("rag", "chat"))]
    assert [span.status.status_code for span in rag] == [StatusCode.UNSET] * 3


def test_a_plain_iterator_is_streamed_as_well_and_may_fail(captured: Capture) -> None:
    def words() -> Iterator[str]:
        yield "because"
        raise ValueError("out of words")

    with observe_question("why?", "physics") as question:
        stream = question.generation("llama").stream(words())
    assert next(stream) == "because"
    assert captured.spans == []
    with pytest.raises(ValueError, match="out of words"):
        next(stream)

    assert outcomes(captured.read_metrics(), "rag.queries") == {"error": 1}
    assert [span.status.status_code for span in captured.spans] == [StatusCode.ERROR] * 3


def test_a_stream_that_is_not_read_still_ends(captured: Capture) -> None:
    with observe_question("why?", "physics") as question:
        stream = question.generation("llama").stream(iter(["unread"]))
    del stream

    assert outcomes(captured.read_metrics(), "rag.queries") == {"cancelled": 1}
    assert len(captured.spans) == 3


def test_all_of_it_is_harmless_with_nonsense(captured: Capture) -> None:
    with observe_question(None, object(), 3.5) as question:  # type: ignore[arg-type]  # what callers really pass
        with question.retrieval(top_k=None) as retrieval:  # type: ignore[arg-type]
            retrieval.documents = "many"  # type: ignore[assignment]
        with question.generation(None, None) as generation:  # type: ignore[arg-type]
            generation.output_tokens = float("nan")  # type: ignore[assignment]

    assert len(captured.spans) == 4
