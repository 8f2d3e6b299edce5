"""The test kit, as a user's tests would use it."""

import asyncio

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

import otel_tutor
from otel_tutor.monitoring import metrics_collector
from otel_tutor.rag import observe_question
from otel_tutor.testing import Capture
from otel_tutor.tracing import get_current_trace_id, trace_operation


async def hello(_: Request) -> Response:
    return PlainTextResponse(str(get_current_trace_id()))


@pytest.fixture
def client(captured: Capture) -> TestClient:
    app = Starlette(routes=[Route("/hello/{name}", hello)])
    otel_tutor.configure(app)
    return TestClient(app)


def test_a_request_counted_once_under_its_endpoint(client: TestClient, captured: Capture) -> None:
    client.get("/hello/ada")

    assert captured.value("http_requests_total", method="GET", endpoint="/hello/{name}", status="200") == 1
    assert captured.count("http_request_duration_seconds", endpoint="/hello/{name}") == 1
    assert captured.value("http_requests_total", status="404") == 0


def test_what_an_app_recorded_is_still_there_after_its_lifespan(client: TestClient, captured: Capture) -> None:
    with client:
        client.get("/hello/ada")

    assert captured.value("http_requests_total") == 1
    assert len(captured.spans) == 1


def test_asking_twice_gives_the_same_answer_and_later_ones_add_up(client: TestClient, captured: Capture) -> None:
    client.get("/hello/ada")
    assert [captured.value("http_requests_total") for _ in range(2)] == [1, 1]
    client.get("/nowhere")

    assert captured.value("http_requests_total") == 2
    assert captured.value("http_requests_total", endpoint="unmatched", status="404") == 1


def test_a_gauge_is_its_last_value(captured: Capture) -> None:
    metrics_collector.set_sync_queue_size(7)
    assert captured.value("sync_queue_size") == 7
    metrics_collector.set_sync_queue_size(3)

    assert captured.value("sync_queue_size") == 3


def test_ids_are_the_same_in_every_run(client: TestClient, captured: Capture) -> None:
    assert client.get("/hello/ada").text == f"{1:032x}"
    with trace_operation("outer"):
        pass

    assert [(span.context.trace_id, span.context.span_id) for span in captured.spans] == [(1, 1), (2, 2)]


def test_durations_are_exact_while_time_stands_still(captured: Capture) -> None:
    with captured.frozen() as clock, observe_question("why?", "physics") as question:
        with question.retrieval():
            clock.advance(0.25)
        with question.generation("llama"):
            clock.advance(1.5)

    assert captured.sum("rag_retrieval_duration_seconds", subject="physics") == 0.25
    assert captured.sum("rag_generation_duration_seconds", subject="physics") == 1.5
    span = captured.spans[-1]
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.end_time - span.start_time == pytest.approx(1.75e9)


@pytest.mark.parametrize(
    ("series", "labels", "message"),
    [
        ("http_request_total", {}, "did you mean http_requests_total"),
        ("http_requests_total", {"route": "/"}, "has no label 'route': it has endpoint, method, status"),
        ("rag_context_documents", {}, "is a histogram: ask for its count"),
    ],
)
def test_a_wrong_name_is_refused_with_the_right_one(
    captured: Capture, series: str, labels: dict[str, str], message: str
) -> None:
    with pytest.raises(KeyError, match=message):
        captured.value(series, **labels)


def test_health_is_at_hand(captured: Capture) -> None:
    assert captured.health()["status"] in {"healthy", "degraded", "unhealthy"}


def test_a_project_that_installs_the_package_has_the_fixture(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        from otel_tutor.monitoring import metrics_collector

        def test_it(captured):
            metrics_collector.track_student_activity("physics", "optics")
            assert captured.value("student_questions_total", subject="physics") == 1
    """)

    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_captured_works_inside_async_code(captured: Capture) -> None:
    async def work() -> None:
        with trace_operation("async"):
            await asyncio.sleep(0)

    asyncio.run(work())
    assert [span.name for span in captured.spans] == ["async"]
