"""One call for a question: its spans and its measurements, once, whichever way it ends."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from decimal import Decimal

import numpy
import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.trace import StatusCode
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

import otel_tutor
from otel_tutor.monitoring import metrics_collector
from otel_tutor.rag import Question, observe_question
from otel_tutor.testing import Capture, FrozenClock, Point
from otel_tutor.tracing import get_current_trace_id, rag_tracer, trace_model_inference
from tests.support.hostile import HOSTILE

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


def test_searches_side_by_side_take_the_time_they_took_together(captured: Capture) -> None:
    with captured.frozen() as clock, observe_question("why?", "physics") as question:
        first, second = question.retrieval(), question.retrieval()
        with first:
            clock.advance(1)
            with second:
                clock.advance(2)
        clock.advance(10)
        with question.retrieval():
            clock.advance(4)

    assert question.retrieval_seconds == 7
    assert captured.sum("rag_retrieval_duration_seconds") == 7


def test_searches_that_gather_overlap_in_any_order(captured: Capture) -> None:
    async def search(question: Question, begins: asyncio.Event, ends: asyncio.Event) -> None:
        await begins.wait()
        with question.retrieval() as retrieval:
            retrieval.documents = 1
            await ends.wait()

    async def ask(clock: FrozenClock) -> None:
        begin, middle, end = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def pass_time() -> None:
            for event in (begin, middle, end):
                event.set()
                for _ in range(3):
                    await asyncio.sleep(0)
                clock.advance(1)

        with observe_question("why?", "physics") as question:
            await asyncio.gather(search(question, begin, middle), search(question, begin, end), pass_time())
            assert question.documents == 2

    with captured.frozen() as clock:
        asyncio.run(ask(clock))
    assert captured.sum("rag_retrieval_duration_seconds") == 2


def test_two_answers_that_are_streamed_together_take_their_time_once(captured: Capture) -> None:
    with captured.frozen() as clock, observe_question("why?", "physics") as question:
        first, second = (question.generation("llama").stream(iter("ab")) for _ in range(2))
        for stream in (first, second, first, second):
            next(stream)
            clock.advance(1)
        assert (list(first), list(second)) == ([], [])

    assert question.generation_seconds == 4
    assert captured.sum("rag_generation_duration_seconds") == 4
    assert captured.value("model_inference_total") == 2


def test_a_question_without_a_search_has_no_time_of_one(captured: Capture) -> None:
    with observe_question("why?", "physics") as question:
        assert (question.retrieval_seconds, question.generation_seconds) == (None, 0)

    assert captured.value("rag_queries_total", status="success") == 1
    assert captured.count("rag_retrieval_duration_seconds") == 0


def test_a_slow_search_is_measured_though_its_question_fails(captured: Capture) -> None:
    with captured.frozen() as clock, suppress(TimeoutError), observe_question("why?", "physics") as question:
        with question.retrieval():
            clock.advance(8)
        with question.generation("llama"):
            raise TimeoutError

    assert captured.value("rag_queries_total", status="error") == 1
    assert captured.sum("rag_retrieval_duration_seconds") == 8
    assert captured.count("rag_generation_duration_seconds") == captured.count("model_inference_duration_seconds") == 0


def test_a_search_that_failed_and_was_made_good_is_part_of_the_time(captured: Capture) -> None:
    with captured.frozen() as clock, observe_question("why?", "physics") as question:
        with suppress(TimeoutError), question.retrieval():
            clock.advance(2)
            raise TimeoutError
        with question.retrieval() as second:
            clock.advance(1)
            second.documents = 3

    assert captured.value("rag_queries_total", status="success") == 1
    assert captured.sum("rag_retrieval_duration_seconds") == 3


def test_a_search_that_fails_is_no_latency(captured: Capture) -> None:
    with suppress(LookupError), observe_question("why?", "physics") as question, question.retrieval():
        raise LookupError("the index is gone")

    assert captured.value("rag_queries_total", status="error") == 1
    assert captured.count("rag_retrieval_duration_seconds") == 0


def test_numbers_read_the_same_on_spans_and_in_series(captured: Capture) -> None:
    mask = numpy.array([1, 1, 1, 0])
    with observe_question("why?", "physics") as question:
        with question.retrieval() as retrieval:
            retrieval.documents = mask.sum()
        with question.generation("llama", input_tokens=Decimal(40)) as generation:  # type: ignore[arg-type]
            generation.output_tokens = mask.sum()

    spans = {span.name: dict(span.attributes or {}) for span in captured.spans}
    assert (captured.sum("rag_context_documents"), captured.sum("model_token_count", type="output")) == (3, 3)
    assert [spans[name]["rag.context.documents"] for name in ("rag.retrieval", "rag.generation", "rag.query")] == [3, 3, 3]
    tokens = [spans["chat llama"][f"gen_ai.usage.{kind}_tokens"] for kind in ("input", "output")]
    assert (tokens, {type(number) for number in tokens}) == ([40, 3], {int})


def test_numbers_that_are_none_are_neither_on_spans_nor_in_series(captured: Capture) -> None:
    with observe_question("why?", "physics") as question:
        with question.retrieval() as retrieval:
            retrieval.documents = "many"  # type: ignore[assignment]  # what an app may get wrong
        with question.generation("llama") as generation:
            generation.output_tokens = float("nan")  # type: ignore[assignment]

    assert captured.count("rag_context_documents") == captured.count("model_token_count") == 0
    assert captured.value("otel_tutor_measurements_invalid_total", instrument="rag.context.documents") == 1
    assert captured.value("otel_tutor_measurements_invalid_total", instrument="gen_ai.client.token.usage") == 1
    keys = {key for span in captured.spans for key in span.attributes or {}}
    assert not keys & {"rag.context.documents", "gen_ai.usage.output_tokens"}


def test_what_cannot_be_streamed_fails_where_it_is_read(captured: Capture) -> None:
    with observe_question("why?", "physics") as question:
        stream = question.generation("llama").stream(5)  # type: ignore[call-overload]  # what an app may get wrong

    with pytest.raises(TypeError, match="not iterable"):
        next(stream)
    assert captured.value("rag_queries_total", status="error") == 1
    assert len(captured.spans) == 3


@pytest.mark.parametrize("name", HOSTILE)
def test_a_question_takes_anything(captured: Capture, name: str) -> None:
    odd = HOSTILE[name]
    with observe_question(odd, odd, odd) as question:
        with question.retrieval(odd) as retrieval:
            retrieval.documents = odd
        with question.generation(odd, odd, odd) as generation:
            generation.output_tokens = odd
        question.subject = question.topic = odd

    assert captured.value("rag_queries_total") == captured.value("model_inference_total") == 1
    assert len(captured.spans) == 4
    assert encode_spans(captured.spans).ByteSize() > 0
