"""Whatever fails inside telemetry, the app answers, the span ends, and one line of log a minute says what was lost."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

import otel_tutor
from otel_tutor.instrumentation.asgi import TelemetryMiddleware
from otel_tutor.monitoring import metrics_collector, track_time
from otel_tutor.rag import observe_question
from otel_tutor.recording.operation import Operation
from otel_tutor.recording.state import state
from otel_tutor.testing import Capture
from otel_tutor.tracing import trace_operation
from tests.support.failing import Unprintable, failing_histograms, failing_spans
from tests.support.logging_program import CONFIGURE
from tests.support.logging_program import run as run_program

LOST = "something was not recorded (logged at most once a minute): "


async def hello(_: Request) -> Response:
    return PlainTextResponse("hello")


async def stream(_: Request) -> Response:
    return StreamingResponse(iter(["hel", "lo"]))


async def sync(_: Request) -> Response:
    metrics_collector.track_sync(0.1, records=5)  # type: ignore[arg-type]  # what an app may get wrong
    return PlainTextResponse("synchronised")


async def ask(_: Request) -> Response:
    with observe_question("why?", Unprintable()) as question, question.retrieval():  # type: ignore[arg-type]
        pass
    metrics_collector.track_rag_query("physics", 0.1, 3, 0.2)
    return PlainTextResponse("because")


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)


@pytest.fixture
def app(captured: Capture) -> Starlette:
    routes = [Route("/hello", hello), Route("/stream", stream), Route("/sync", sync), Route("/ask", ask)]
    app = Starlette(routes=[*routes, WebSocketRoute("/echo", echo)])
    otel_tutor.configure(app)
    return app


def serve(app: ASGIApp, scope: dict[str, Any], *received: Message) -> list[str]:
    """The types of the messages that the app sends."""
    waiting, sent = list(received), []

    async def receive() -> Message:
        return waiting.pop(0)

    async def send(message: Message) -> None:
        sent.append(message["type"])

    async def run() -> None:
        await app(scope, receive, send)

    asyncio.run(run())
    return sent


def test_a_recording_call_that_fails_raises_nothing_into_the_app(app: Starlette, caplog: pytest.LogCaptureFixture) -> None:
    assert TestClient(app).get("/sync").text == "synchronised"

    assert [record.getMessage()[: len(LOST)] for record in caplog.records if record.name == "otel_tutor"] == [LOST]


def test_of_many_failures_one_line_is_logged(app: Starlette, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(5):
        TestClient(app).get("/sync")

    assert [record.name for record in caplog.records].count("otel_tutor") == 1
    assert state.internal_errors == 5


def test_a_request_whose_scope_cannot_be_read_is_answered(app: Starlette, captured: Capture) -> None:
    scope = {"type": "http", "method": "GET", "path": "/hello"}  # no headers

    assert serve(app, scope) == ["http.response.start", "http.response.body"]
    assert (captured.spans, state.internal_errors) == ([], 1)


def test_a_connection_whose_scope_cannot_be_read_is_served(app: Starlette, captured: Capture) -> None:
    scope = {"type": "websocket", "path": "/echo"}
    messages = {"type": "websocket.receive", "text": "hello"}, {"type": "websocket.disconnect", "code": 1000}

    assert serve(app, scope, {"type": "websocket.connect"}, *messages) == ["websocket.accept", "websocket.send"]
    assert (captured.spans, state.internal_errors) == ([], 1)


def test_odd_messages_pass_and_are_counted_as_far_as_they_can_be(captured: Capture) -> None:
    async def app(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": 7, "more_body": None})

    scope = {"type": "http", "method": "GET", "path": "/odd", "headers": []}
    sent = serve(TelemetryMiddleware(app), scope, {"type": "http.request", "body": None})

    assert sent == ["http.response.start", "http.response.body"]
    assert [span.name for span in captured.spans] == ["GET"]
    assert captured.value("http_requests_total", status="200") == state.internal_errors == 1


def talk(client: TestClient) -> None:
    with client.websocket_connect("/echo") as socket:
        socket.send_text("hello")
        assert socket.receive_text() == "hello"


@pytest.mark.parametrize(
    ("act", "span"),
    [
        (lambda client: client.get("/hello"), "GET /hello"),
        (lambda client: client.get("/stream"), "GET /stream"),
        (talk, "WEBSOCKET /echo"),
    ],
    ids=["request", "stream", "connection"],
)
def test_where_every_histogram_fails_the_span_still_ends(
    app: Starlette, captured: Capture, act: Callable[[TestClient], object], span: str
) -> None:
    with failing_histograms():
        act(TestClient(app))

    assert [ended.name for ended in captured.spans] == [span]
    assert state.requests == state.connections == {}


def test_a_stream_whose_first_byte_is_lost_keeps_its_duration(app: Starlette, captured: Capture) -> None:
    with failing_histograms("http.server.response.time_to_first_byte"):
        TestClient(app).get("/stream")

    assert captured.count("http_request_duration_seconds", endpoint="/stream") == 1


def test_a_measurement_that_fails_takes_no_other_of_its_call_with_it(captured: Capture) -> None:
    with failing_histograms("rag.retrieval.duration"):
        metrics_collector.track_rag_query("physics", 0.1, 3, 0.2)

    assert captured.count("rag_retrieval_duration_seconds") == 0
    assert captured.count("rag_context_documents", subject="physics") == 1
    assert captured.count("rag_generation_duration_seconds", subject="physics") == 1


def test_an_operation_whose_end_fails_lets_the_app_go_on_and_ends_its_span(app: Starlette, captured: Capture) -> None:
    assert TestClient(app).get("/ask").text == "because"

    assert [span.name for span in captured.spans] == ["rag.retrieval", "rag.query", "GET /ask"]
    assert captured.count("rag_context_documents") == 2  # of "unknown" and of physics


def test_what_fails_when_an_operation_ends_does_not_reach_the_app(captured: Capture) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("telemetry is broken")

    Operation("step", {}, on_end=fail).end()

    assert [span.name for span in captured.spans] == ["step"]
    assert state.internal_errors == 1


def test_a_function_is_called_though_it_cannot_be_timed(captured: Capture) -> None:
    @track_time("work")
    def work() -> str:
        return "done"

    with failing_histograms("work.duration"):
        assert work() == "done"
    assert state.internal_errors == 1


def test_a_block_runs_though_its_span_cannot_begin(captured: Capture) -> None:
    with failing_spans(captured), trace_operation("step", {"attempt": 1}):
        done = True

    assert done
    assert (captured.spans, state.internal_errors) == ([], 1)


def test_an_error_that_has_no_text_is_still_an_error_of_its_span(captured: Capture) -> None:
    class SilentError(Exception):
        def __str__(self) -> str:
            raise ValueError("no text")

    with pytest.raises(SilentError), trace_operation("step"):
        raise SilentError

    (span,) = captured.spans
    assert (span.status.status_code.name, span.status.description) == ("ERROR", "SilentError")


def test_a_line_whose_arguments_do_not_fit_harms_no_one_and_is_exported_as_it_was_written() -> None:
    (sent,), _, _ = run_program(
        CONFIGURE,
        """
        class NoText:
            def __str__(self):
                raise ValueError("no text")
        log = logging.getLogger("app")
        log.info("%d of %d", 1)
        log.info("a student", extra={"student": NoText()})
        try:
            raise RuntimeError(NoText())
        except RuntimeError:
            log.info("it failed", exc_info=True)
        show(sent())
    """,
    )

    assert sent == ["%d of %d", "a student", "it failed"]
