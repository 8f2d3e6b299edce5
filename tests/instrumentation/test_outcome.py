"""What clients do is no failure of the service; what the service does wrong stays one, even when no client is left."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from typing import Annotated, Any

import pytest
import trio
import websockets.sync.client
from fastapi import Body, FastAPI
from opentelemetry.trace import StatusCode
from starlette.applications import Starlette
from starlette.exceptions import HTTPException, WebSocketException
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.exceptions import ConnectionClosed

import otel_tutor
from otel_tutor.instrumentation.asgi import TelemetryMiddleware
from otel_tutor.instrumentation.outcome import failure_of, failure_of_connection
from otel_tutor.rag import observe_question
from otel_tutor.recording.state import state
from otel_tutor.testing import Capture
from tests.support.server import Address, serving

GROUP = BaseExceptionGroup("several", [ClientDisconnect(), asyncio.CancelledError()])
MIXED = BaseExceptionGroup("several", [ClientDisconnect(), ValueError("broken")])
NO_FAILURES: list[BaseException | None] = [
    None,
    ClientDisconnect(),
    asyncio.CancelledError(),
    GeneratorExit(),
    KeyboardInterrupt(),
    SystemExit(),
    SystemExit(0),
    HTTPException(404),
    HTTPException(503),
    GROUP,
    BaseExceptionGroup("nested", [GROUP]),
]
FAILURES = [ValueError("broken"), SystemExit(1), SystemExit("no database"), TimeoutError(), OSError(), MIXED]


@pytest.mark.parametrize("error", NO_FAILURES, ids=repr)
def test_what_is_no_failure_of_the_service(error: BaseException | None) -> None:
    assert failure_of(error) is None
    assert failure_of_connection(error) is None


@pytest.mark.parametrize("error", FAILURES, ids=repr)
def test_what_is_a_failure_of_the_service(error: BaseException) -> None:
    assert failure_of(error) is error
    assert failure_of_connection(error) is error


def test_a_cancellation_of_trio_is_no_failure() -> None:
    async def be_cancelled() -> BaseException:
        with trio.CancelScope() as scope:
            scope.cancel()
            try:
                await trio.sleep_forever()
            except trio.Cancelled as error:
                return error
        raise AssertionError

    assert failure_of(trio.run(be_cancelled)) is None


@pytest.mark.parametrize("code", [1000, 1001, 1005, 1006, 3000, 4001])
@pytest.mark.parametrize("kind", [WebSocketDisconnect, WebSocketException])
def test_a_close_that_is_usual_is_no_failure(kind: Callable[..., Exception], code: int) -> None:
    assert failure_of_connection(kind(code=code)) is None


@pytest.mark.parametrize("code", [1002, 1003, 1007, 1009, 1011, 1012, 1014])
def test_a_close_over_something_wrong_is_a_failure(code: int) -> None:
    error = WebSocketDisconnect(code=code)

    assert failure_of_connection(error) is error
    assert failure_of_connection(BaseExceptionGroup("in a task group", [error])) is not None


async def upload(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def upload_in_pieces(request: Request) -> Response:
    return PlainTextResponse(str(sum([len(piece) async for piece in request.stream()])))


async def pass_on(request: Request, call_next: Callable[[Request], Any]) -> Response:
    response: Response = await call_next(request)
    return response


def uploading() -> dict[str, Starlette]:
    routes = [
        Route("/body", upload, methods=["POST"]),
        Route("/pieces", upload_in_pieces, methods=["POST"]),
    ]
    api = FastAPI(routes=list(routes))

    @api.post("/json")
    async def read_json(value: Annotated[dict[str, int], Body()]) -> int:
        return len(value)

    layered = Starlette(routes=routes)
    layered.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    return {"Starlette": Starlette(routes=routes), "FastAPI": api, "in middleware": layered}


def cut_upload(address: Address, path: str, kind: str) -> None:
    """A client that promises a thousand bytes, sends some, and hangs up."""
    with socket.create_connection(address) as client:
        head = f"POST {path} HTTP/1.1\r\nHost: tutor.example\r\nContent-Type: {kind}\r\nContent-Length: 1000\r\n\r\n"
        client.sendall(head.encode() + b'{"a": 1, --cut')


def outcomes(captured: Capture) -> tuple[list[int], list[str], list[str]]:
    """The statuses that were counted, those of the spans, and their events."""
    points = captured.read_metrics().get("http.server.request.duration", [])
    counted = [point.attributes["http.response.status_code"] for point in points for _ in range(point.count or 0)]
    spans = captured.spans
    return counted, [span.status.status_code.name for span in spans], [event.name for span in spans for event in span.events]


CUT = [
    ("Starlette", "/body", "text/plain"),
    ("Starlette", "/pieces", "text/plain"),
    ("FastAPI", "/body", "text/plain"),
    ("FastAPI", "/json", "application/json"),
    ("in middleware", "/body", "text/plain"),
    ("in middleware", "/pieces", "text/plain"),
]


@pytest.mark.parametrize(("app", "path", "kind"), CUT)
def test_an_upload_that_its_client_cuts_is_a_499_and_no_error(captured: Capture, app: str, path: str, kind: str) -> None:
    uploaded = uploading()[app]
    otel_tutor.configure(uploaded)
    with serving(uploaded) as address:
        cut_upload(address, path, kind)

    assert outcomes(captured) == ([499], ["UNSET"], [])
    assert captured.spans[0].name == f"POST {path}"


def test_a_failure_after_the_client_has_gone_stays_a_failure(captured: Capture) -> None:
    async def fail_at_last(request: Request) -> Response:
        while not await request.is_disconnected():
            await asyncio.sleep(0.001)
        raise RuntimeError("the lock was never released")

    app = Starlette(routes=[Route("/late", fail_at_last)])
    otel_tutor.configure(app)
    with serving(app) as address, socket.create_connection(address) as client:
        client.sendall(b"GET /late HTTP/1.1\r\nHost: tutor.example\r\n\r\n")
        client.close()

    assert outcomes(captured) == ([500], ["ERROR"], ["exception"])


def test_an_answer_that_comes_after_the_client_has_gone_is_a_499(captured: Capture) -> None:
    async def notice(request: Request) -> Response:
        while not await request.is_disconnected():
            await asyncio.sleep(0.001)
        return PlainTextResponse("anyone?")

    app = Starlette(routes=[Route("/late", notice)])
    otel_tutor.configure(app)
    with serving(app) as address, socket.create_connection(address) as client:
        client.sendall(b"GET /late HTTP/1.1\r\nHost: tutor.example\r\n\r\n")
        client.close()

    assert outcomes(captured) == ([499], ["UNSET"], [])


@pytest.mark.parametrize("framework", [Starlette, FastAPI])
@pytest.mark.parametrize("layered", [False, True], ids=["bare", "in middleware"])
def test_a_client_that_leaves_during_a_response_leaves_its_status(
    captured: Capture, framework: type[Starlette], layered: bool
) -> None:
    async def stream(_: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            while True:
                yield b"x" * 65_536
                await asyncio.sleep(0.001)

        return StreamingResponse(pieces())

    app = framework(routes=[Route("/stream", stream)])
    otel_tutor.configure(app)
    if layered:
        app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    with serving(app) as address, socket.create_connection(address) as client:
        client.sendall(b"GET /stream HTTP/1.1\r\nHost: tutor.example\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        client.close()

    assert outcomes(captured) == ([200], ["UNSET"], [])


@pytest.mark.parametrize("framework", [Starlette, FastAPI])
def test_a_stream_of_events_whose_client_leaves_is_ended_and_its_question_is_cancelled(
    captured: Capture, framework: type[Starlette]
) -> None:
    async def answer(_: Request) -> Response:
        async def pieces() -> AsyncIterator[str]:
            while True:
                yield "data: because\n\n"
                await asyncio.sleep(0.001)

        with observe_question("why?", "physics") as question:
            return StreamingResponse(question.generation("tutor").stream(pieces()), media_type="text/event-stream")

    app = framework(routes=[Route("/events", answer)])
    otel_tutor.configure(app)
    with serving(app) as address, socket.create_connection(address) as client:
        client.sendall(b"GET /events HTTP/1.1\r\nHost: tutor.example\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        client.close()

    names = ["GET /events", "chat tutor", "rag.generation", "rag.query"]
    assert sorted((span.name, span.status.status_code.name) for span in captured.spans) == [
        (name, "UNSET") for name in names
    ]
    assert captured.value("rag_queries_total", status="cancelled") == captured.value("rag_queries_total") == 1
    assert state.internal_errors == 0


def serve(app: Any, *, broken: str | None = None) -> list[Message]:
    """The messages of an app to a server that fails, as ASGI has it, at one type of them."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == broken:
            raise ConnectionResetError("the client has gone")
        sent.append(message)

    async def run() -> None:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
        await app({**scope, "asgi": {"version": "3.0", "spec_version": "2.4"}}, receive, send)

    asyncio.run(run())
    return sent


@pytest.mark.parametrize(("broken", "status"), [("http.response.start", 499), ("http.response.body", 200)])
@pytest.mark.parametrize("response", [PlainTextResponse("hello"), StreamingResponse(iter(["hel", "lo"]))])
def test_a_server_that_cannot_send_says_that_the_client_has_gone(
    captured: Capture, response: Response, broken: str, status: int
) -> None:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await response(scope, receive, send)

    app = Starlette(routes=[Route("/", lambda _: response)])
    otel_tutor.configure(app)
    with pytest.raises((ClientDisconnect, ConnectionResetError)):
        serve(app, broken=broken)

    assert outcomes(captured) == ([status], ["UNSET"], [])


ENDS: dict[str, tuple[BaseException, int, str]] = {
    "the interpreter ends with success": (SystemExit(0), 499, "UNSET"),
    "the interpreter ends without success": (SystemExit(3), 500, "ERROR"),
    "the interpreter is interrupted": (KeyboardInterrupt(), 499, "UNSET"),
    "the request is cancelled": (asyncio.CancelledError(), 499, "UNSET"),
    "a refusal": (HTTPException(403), 403, "UNSET"),
    "an answer that blames the service": (HTTPException(503), 503, "ERROR"),
    "a status of the standard library": (HTTPException(HTTPStatus.CONFLICT), 409, "UNSET"),
    "a failure": (ValueError("broken"), 500, "ERROR"),
}


@pytest.mark.parametrize("end", ENDS)
def test_what_passes_through_is_judged_and_goes_on(captured: Capture, end: str) -> None:
    error, status, span = ENDS[end]

    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        raise error

    with pytest.raises(type(error)):
        serve(TelemetryMiddleware(fail))

    assert outcomes(captured) == ([status], [span], ["exception"] * (failure_of(error) is not None))


def test_an_exception_that_is_handled_around_the_server_is_none_of_a_request(captured: Capture) -> None:
    """As in a program that starts its server where an import failed."""
    app = Starlette(routes=[Route("/", lambda _: PlainTextResponse("busy", status_code=503))])
    otel_tutor.configure(app)
    try:
        raise ImportError("uvloop")
    except ImportError:
        serve(app)

    assert outcomes(captured) == ([503], ["ERROR"], [])
    assert dict(captured.spans[0].attributes or {})["error.type"] == "503"


ENDINGS: dict[str, list[Message]] = {
    "a file that the server sends": [{"type": "http.response.pathsend", "path": "/a.txt"}],
    "a descriptor that the server sends": [{"type": "http.response.zerocopysend", "file": 7}],
    "trailers": [{"type": "http.response.body"}, {"type": "http.response.trailers", "headers": []}],
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_request_ends_with_the_last_message_of_every_kind(captured: Capture, ending: str) -> None:
    start = {"type": "http.response.start", "status": 200, "headers": [], "trailers": ending == "trailers"}

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        for message in [start, *ENDINGS[ending]]:
            assert captured.spans == []
            await send(message)
        assert len(captured.spans) == 1

    assert len(serve(TelemetryMiddleware(answer))) == 1 + len(ENDINGS[ending])
    assert outcomes(captured) == ([200], ["UNSET"], [])


@pytest.mark.parametrize("status", [404, 422, 503])
@pytest.mark.parametrize("framework", [Starlette, FastAPI])
def test_an_http_exception_of_a_handler_is_an_answer(captured: Capture, framework: type[Starlette], status: int) -> None:
    async def refuse(_: Request) -> Response:
        raise HTTPException(status)

    app = framework(routes=[Route("/", refuse)])
    otel_tutor.configure(app)
    TestClient(app).get("/")

    assert outcomes(captured) == ([status], ["ERROR" if status == 503 else "UNSET"], [])
    assert dict(captured.spans[0].attributes or {}).get("error.type") == ("503" if status == 503 else None)


async def listen(socket: WebSocket) -> None:
    """As the examples of Starlette have it: what the client closes comes out as an exception."""
    await socket.accept()
    while True:
        await socket.receive_text()


async def close_with(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close(code=int(socket.query_params["code"]))


async def refuse_with(socket: WebSocket) -> None:
    await socket.accept()
    raise WebSocketException(code=int(socket.query_params["code"]))


def sockets(framework: type[Starlette] = Starlette) -> Starlette:
    routes = [("/listen", listen), ("/close", close_with), ("/refuse", refuse_with)]
    app = framework(routes=[WebSocketRoute(path, endpoint) for path, endpoint in routes])
    otel_tutor.configure(app)
    return app


@pytest.mark.parametrize("framework", [Starlette, FastAPI])
@pytest.mark.parametrize(("code", "status"), [(1000, "UNSET"), (1001, "UNSET"), (4321, "UNSET"), (1011, "ERROR")])
def test_how_a_client_closes_its_websocket_decides(
    captured: Capture, framework: type[Starlette], code: int, status: str
) -> None:
    with serving(sockets(framework)) as (host, port), websockets.sync.client.connect(f"ws://{host}:{port}/listen") as client:
        client.close(code)

    assert [span.status.status_code.name for span in captured.spans] == [status]


def test_a_websocket_whose_client_vanishes_is_no_error(captured: Capture) -> None:
    with serving(sockets()) as (host, port), websockets.sync.client.connect(f"ws://{host}:{port}/listen") as client:
        client.socket.shutdown(socket.SHUT_RDWR)

    assert [span.status.status_code for span in captured.spans] == [StatusCode.UNSET]


@pytest.mark.parametrize("path", ["/close", "/refuse"])
@pytest.mark.parametrize(("code", "status"), [(1000, "UNSET"), (1008, "UNSET"), (1011, "ERROR")])
def test_how_an_app_closes_a_websocket_decides(captured: Capture, path: str, code: int, status: str) -> None:
    with (
        serving(sockets()) as (host, port),
        pytest.raises(ConnectionClosed),
        websockets.sync.client.connect(f"ws://{host}:{port}{path}?code={code}") as client,
    ):
        client.recv()

    (span,) = captured.spans
    assert (span.status.status_code.name, span.name) == (status, f"WEBSOCKET {path}")
    assert dict(span.attributes or {}).get("error.type") == ("1011" if status == "ERROR" else None)
