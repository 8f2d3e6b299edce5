"""One WebSocket connection, one span, one duration, each message counted."""

import pytest
from fastapi import FastAPI
from opentelemetry.trace import SpanKind, StatusCode
from starlette.applications import Starlette
from starlette.routing import Mount, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

import otel_tutor
from otel_tutor.testing import Capture


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        if text == "fail":
            raise RuntimeError("broken")
        await socket.send_text(text)


def make_starlette() -> Starlette:
    return Starlette(routes=[Mount("/rooms/{room}", routes=[WebSocketRoute("/echo/{name}", echo)])])


def make_fastapi() -> FastAPI:
    app = FastAPI()
    app.add_api_websocket_route("/rooms/{room}/echo/{name}", echo)
    return app


@pytest.fixture(params=[make_starlette, make_fastapi])
def client(captured: Capture, request: pytest.FixtureRequest) -> TestClient:
    app: Starlette = request.param()
    otel_tutor.configure(app)
    return TestClient(app)


ROUTE = "/rooms/{room}/echo/{name}"


def test_a_connection_is_one_span_and_one_duration_under_its_route(client: TestClient, captured: Capture) -> None:
    with client.websocket_connect("/rooms/7/echo/ada?secret=1") as socket:
        socket.send_text("hello")
        assert socket.receive_text() == "hello"
        active = captured.read_metrics()["websocket.active_connections"]
        assert [point.value for point in active if point.attributes == {"http.route": ROUTE}] == [1]

    (span,) = captured.spans
    assert (span.name, span.kind) == (f"WEBSOCKET {ROUTE}", SpanKind.SERVER)
    assert "secret" not in span.to_json()
    metrics = captured.read_metrics()
    (duration,) = metrics["websocket.connection.duration"]
    assert (duration.count, dict(duration.attributes)) == (1, {"http.route": ROUTE})
    assert duration.exemplar_trace_ids == (span.context.trace_id,)
    assert captured.value("websocket_connections_active", endpoint=ROUTE) == 0


def test_messages_are_counted_each_way(client: TestClient, captured: Capture) -> None:
    with client.websocket_connect("/rooms/7/echo/ada") as socket:
        for text in ("one", "two"):
            socket.send_text(text)
            socket.receive_text()

    for direction in ("receive", "transmit"):
        assert captured.value("websocket_messages_total", endpoint=ROUTE, direction=direction) == 2


def test_a_trace_goes_on_from_the_caller(client: TestClient, captured: Capture) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    headers = {"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"}
    with client.websocket_connect("/rooms/7/echo/ada", headers=headers):
        pass

    assert f"{captured.spans[0].context.trace_id:032x}" == trace_id


def test_an_app_that_fails_is_an_error_once(client: TestClient, captured: Capture) -> None:
    def talk() -> None:
        with client.websocket_connect("/rooms/7/echo/ada") as socket:
            socket.send_text("fail")
            socket.receive_text()

    with pytest.raises(RuntimeError, match="broken"):
        talk()

    (span,) = captured.spans
    assert (span.status.status_code, [event.name for event in span.events]) == (StatusCode.ERROR, ["exception"])
