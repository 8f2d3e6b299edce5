"""An app in trio's event loop is observed as in asyncio's, and nothing of it is different with telemetry."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from fastapi import BackgroundTasks, FastAPI
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.types import Message
from starlette.websockets import WebSocket

import otel_tutor
from otel_tutor.health import HealthService, health_routes
from otel_tutor.instrumentation.asgi import TelemetryMiddleware
from otel_tutor.recording.state import state
from otel_tutor.testing import Capture
from otel_tutor.tracing import trace_operation


async def hello(_: Request) -> Response:
    with trace_operation("greet"):
        await trio.sleep(0)
    return PlainTextResponse("hello")


async def stream(_: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"hel", b"lo"):
            yield piece
            await trio.sleep(0)

    return StreamingResponse(pieces())


def sync(_: Request) -> Response:
    with trace_operation("greet"):
        return PlainTextResponse("hello")


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)


async def pass_on(request: Request, call_next: Any) -> Response:
    response: Response = await call_next(request)
    return response


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    with trace_operation("start"):
        await trio.sleep(0)
    yield


@pytest.fixture(params=[Starlette, FastAPI])
def client(captured: Capture, request: pytest.FixtureRequest) -> Iterator[TestClient]:
    routes = [Route("/hello", hello), Route("/stream", stream), Route("/sync", sync), WebSocketRoute("/echo", echo)]
    app: Starlette = request.param(routes=[*routes, *health_routes(HealthService())], lifespan=lifespan)
    otel_tutor.configure(app)
    app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    with TestClient(app, backend="trio") as client:
        captured.clear()
        yield client
    assert state.internal_errors == 0


@pytest.mark.parametrize("path", ["/hello", "/stream", "/sync"])
def test_a_request_is_one_count_and_one_span(client: TestClient, captured: Capture, path: str) -> None:
    assert client.get(path).text == "hello"

    assert captured.value("http_requests_total", endpoint=path, status="200") == 1
    assert captured.spans[-1].name == f"GET {path}"
    assert len({span.context.trace_id for span in captured.spans}) == 1


def test_a_websocket_is_one_span(client: TestClient, captured: Capture) -> None:
    with client.websocket_connect("/echo") as socket:
        socket.send_text("hello")
        assert socket.receive_text() == "hello"

    assert [span.name for span in captured.spans] == ["WEBSOCKET /echo"]


def test_probes_answer_and_are_not_counted(client: TestClient, captured: Capture) -> None:
    assert [client.get(path).status_code for path in ("/health", "/health/ready", "/health/live")] == [200] * 3

    assert captured.spans == []


def test_a_background_task_is_a_span_by_itself(captured: Capture) -> None:
    app = FastAPI()

    async def index() -> None:
        await trio.sleep(0)

    @app.get("/passages")
    async def passages(tasks: BackgroundTasks) -> int:
        tasks.add_task(index)
        return 1

    otel_tutor.configure(app)
    assert TestClient(app, backend="trio").get("/passages").json() == 1

    assert [span.name.partition(".")[0] for span in captured.spans] == [
        "GET /passages",
        "background test_a_background_task_is_a_span_by_itself",
    ]


def test_what_is_to_be_done_at_the_end_is_done_in_a_thread(captured: Capture) -> None:
    done: list[bool] = []

    async def server() -> list[str]:
        sent: list[str] = []
        waiting = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

        async def receive() -> Message:
            return waiting.pop(0)

        async def send(message: Message) -> None:
            sent.append(message["type"])

        await TelemetryMiddleware(Starlette(), lambda: done.append(True))({"type": "lifespan"}, receive, send)
        return sent

    assert trio.run(server) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert done == [True]


@pytest.mark.parametrize(("deadline", "counted"), [(False, ("499", "UNSET")), (True, ("500", "ERROR"))])
def test_a_request_that_is_cancelled_is_no_failure_but_one_that_takes_too_long_is(
    captured: Capture, deadline: bool, counted: tuple[str, str]
) -> None:
    async def wait(_: Request) -> Response:
        await trio.sleep_forever()
        raise AssertionError

    async def give_up() -> None:
        app = Starlette(routes=[Route("/wait", wait)])
        otel_tutor.configure(app)
        scope = {"type": "http", "method": "GET", "path": "/wait", "headers": [], "query_string": b""}
        with trio.CancelScope(deadline=trio.current_time() if deadline else float("inf")) as cancelling:
            if not deadline:
                cancelling.cancel()
            await app(scope, trio.sleep_forever, lambda _: trio.sleep_forever())

    trio.run(give_up)
    assert [(span.name, span.status.status_code.name) for span in captured.spans] == [("GET /wait", counted[1])]
    assert captured.value("http_requests_total", status=counted[0]) == 1


def test_an_event_loop_that_has_no_timers_is_not_watched(client: TestClient, captured: Capture) -> None:
    client.get("/hello")

    assert "event_loop.lag" not in captured.read_metrics()
