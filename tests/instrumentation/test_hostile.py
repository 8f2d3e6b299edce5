"""Whatever a server, a client or an app passes, the answer is the one that it is without telemetry."""

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck as Slow
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Match, Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

import otel_tutor
from otel_tutor.catalogue import ROUTE
from otel_tutor.health import HealthCheck, HealthService, SyncHealthCheck, health_routes
from otel_tutor.instrumentation.asgi import TelemetryMiddleware
from otel_tutor.instrumentation.attributes import request_attributes
from otel_tutor.recording.state import state
from otel_tutor.testing import Capture

ODD = st.none() | st.booleans() | st.integers() | st.binary(max_size=8) | st.text(max_size=8) | st.lists(st.text(max_size=3))
PAIRS = st.tuples(st.binary(max_size=20), st.binary(max_size=20))
SCOPES = st.fixed_dictionaries(
    {"type": st.sampled_from(["http", "websocket", "lifespan", "webtransport"])},
    optional={
        "method": ODD | st.sampled_from(["GET", "POST", b"GET"]),
        "path": ODD | st.sampled_from(["/hello/ada", "/\ud800", "/health", "/sub/hello/ada"]),
        "headers": ODD | st.lists(PAIRS) | st.just([(b"traceparent", b"\xff"), (b"baggage", b"=,=,")]),
        "server": ODD | st.just(["tutor.example"]) | st.just(("tutor.example", None)),
        "client": ODD | st.just(("127.0.0.1",)),
        "scheme": ODD,
        "http_version": ODD,
        "root_path": ODD | st.sampled_from(["", "/sub"]),
        "query_string": ODD,
        "app": ODD,
        "router": ODD,
        "route": ODD,
        "endpoint": ODD,
        "fastapi": st.dictionaries(st.sampled_from(["frontend_path", "effective_route_context"]), ODD),
        "state": st.just({}),
    },
)


async def hello(_: Request) -> Response:
    return PlainTextResponse("hello")


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


async def raw(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers anything, without a look at it."""
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"raw"})


def make_app(framework: type[Starlette]) -> Starlette:
    inner: list[BaseRoute] = [Route("/hello/{name}", hello), WebSocketRoute("/hello/{name}", echo)]
    return framework(routes=[*inner, Mount("/sub", routes=inner), *health_routes(HealthService())])


def outcome(app: ASGIApp, scope: Scope) -> tuple[list[str], object]:
    """The kinds of what the app sends, and the class of what it raises; bodies may have the time in them."""
    sent: list[str] = []
    waiting = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}] if scope["type"] == "lifespan" else [])

    async def receive() -> Message:
        return next(waiting, {"type": f"{scope['type']}.connect", "body": b""})

    async def send(message: Message) -> None:
        sent.append(f"{message['type']} {message.get('status', '')}")

    async def run() -> None:
        await app(scope, receive, send)

    try:
        asyncio.run(run())
    except Exception as error:
        return sent, type(error)
    return sent, None


@settings(deadline=None, derandomize=True, max_examples=300, suppress_health_check=[Slow.function_scoped_fixture])
@given(scope=SCOPES)
@pytest.mark.parametrize("kind", ["raw", "Starlette", "FastAPI"])
def test_an_odd_scope_is_answered_as_it_is_without_telemetry(captured: Capture, kind: str, scope: Scope) -> None:
    if kind == "raw":
        bare: ASGIApp = raw
        observed: ASGIApp = TelemetryMiddleware(raw)
    else:
        framework = Starlette if kind == "Starlette" else FastAPI
        app = make_app(framework)
        otel_tutor.configure(app)
        observed, bare = app, make_app(framework)

    # FastAPI's own telemetry is on as soon as there are providers. This key switches it off.
    assert outcome(observed, {**scope}) == outcome(bare, {**scope, "fastapi.telemetry": None})
    assert state.requests == state.connections == {}
    captured.read_metrics()


@pytest.mark.parametrize("method", [b"GET", None, 7, "", "GET", "\ud800"])
@pytest.mark.parametrize("path", [b"/x", None, 7, "", "/x", "/\ud800"])
def test_a_request_without_a_proper_method_or_path_is_counted(captured: Capture, method: object, path: object) -> None:
    scope = {"type": "http", "method": method, "path": path, "headers": [], "server": None}
    assert outcome(TelemetryMiddleware(raw), scope)[1] is None

    assert captured.value("http_requests_total", status="200") == 1
    assert all(isinstance(value, str | int) for value in request_attributes(scope).values())


def test_ten_thousand_methods_and_paths_are_few_series(captured: Capture) -> None:
    app = Starlette(routes=[Route("/hello/{name}", hello)])
    otel_tutor.configure(app)
    for number in range(10_000):
        scope = {"type": "http", "method": f"M{number}", "path": f"/{number}", "headers": [], "query_string": b""}
        outcome(app, {**scope, "path": f"/hello/{number}"} if number % 2 else scope)

    points = captured.read_metrics()["http.server.request.duration"]
    assert {point.attributes["http.request.method"] for point in points} == {"_OTHER"}
    assert {point.attributes.get("http.route") for point in points} == {None, "/hello/{name}"}
    assert sum(point.count or 0 for point in points) == 10_000
    assert state.overflow[ROUTE.key] == 0


class BrokenError(Exception):
    """Nothing can be asked of it."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("nor equal")

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("framework", [Starlette, FastAPI])
def test_an_exception_that_cannot_be_read_arrives_as_it_is(captured: Capture, framework: type[Starlette]) -> None:
    error = BrokenError()

    async def fail(_: Request) -> Response:
        raise error

    app = framework(routes=[Route("/fail", fail)])
    otel_tutor.configure(app)
    with pytest.raises(BrokenError) as raised:
        TestClient(app).get("/fail")

    assert raised.value is error
    assert [(span.name, span.status.status_code.name) for span in captured.spans] == [("GET /fail", "ERROR")]
    assert captured.value("http_requests_total", status="500") == 1


@pytest.mark.parametrize("error", [RuntimeError("not now"), KeyError()])
def test_routes_that_fail_when_they_are_asked_again_cost_the_template_only(captured: Capture, error: Exception) -> None:
    class Once(Route):
        def matches(self, scope: Scope) -> tuple[Match, Scope]:
            if "asked" in scope["state"]:
                raise error
            scope["state"]["asked"] = True
            return super().matches(scope)

    app = Starlette(routes=[Mount("/sub", routes=[Once("/hello/{name}", hello)])])
    otel_tutor.configure(app)
    assert TestClient(app).get("/sub/hello/ada").text == "hello"

    assert captured.value("http_requests_total", status="200") == 1
    assert [span.name for span in captured.spans] == ["GET"]


class Looking(HealthCheck):
    def __init__(self, answer: Any) -> None:
        super().__init__("looking")
        self.answer = answer

    async def check(self) -> Any:
        return self.answer


class LookingInAThread(SyncHealthCheck):
    def __init__(self, answer: Any) -> None:
        super().__init__("looking")
        self.answer = answer

    def check_sync(self) -> Any:
        return self.answer


class Liar:
    """Says that it is whatever it is asked for, and fails at that."""

    @property  # type: ignore[misc]  # as no honest class has it
    def __class__(self) -> Any:
        raise SystemExit("no class")


class Unreadable(dict[str, object]):
    def get(self, *_: object) -> object:
        raise GeneratorExit


class Silent:
    def __str__(self) -> str:
        raise KeyboardInterrupt


HEALTHY = {"status": "healthy"}
GARBAGE: list[Any] = [
    None,
    7,
    "healthy",
    [],
    {},
    {"status": None},
    {"status": []},
    {"status": "HEALTHY"},
    Liar(),
    Unreadable(HEALTHY),
    ValueError("returned, not raised"),
    {**HEALTHY, "details": 7},
    {**HEALTHY, "details": [1, 2]},
    {**HEALTHY, "message": Silent()},
    {**HEALTHY, "details": {Silent(): 1}},
]


@pytest.mark.parametrize("number", range(len(GARBAGE)))
@pytest.mark.parametrize("check", [Looking, LookingInAThread])
def test_garbage_that_a_check_returns_is_a_failed_check(check: type[Looking | LookingInAThread], number: int) -> None:
    service = HealthService()
    service.register(check(GARBAGE[number]))
    client = TestClient(Starlette(routes=health_routes(service)))

    assert [client.get(path).status_code for path in ("/health", "/health/ready", "/health/live")] == [503, 503, 200]
    assert client.get("/health").json()["checks"]["looking"]["status"] == "unhealthy"


ODD_DETAILS: list[Any] = [10**5000, float("nan"), "\ud800", b"\xff", {1: {2: {3: object()}}}, {"a", "b"}, BrokenError()]


@pytest.mark.parametrize("number", range(len(ODD_DETAILS)))
def test_whatever_details_a_check_has_are_shown_as_json(number: int) -> None:
    service = HealthService(service=b"tutor", version=object())  # type: ignore[arg-type]  # what an app may get wrong
    service.register(Looking({**HEALTHY, "message": ODD_DETAILS[number], "details": {"odd": ODD_DETAILS[number]}}))
    app = Starlette(routes=health_routes(service))
    answer = TestClient(app, client=("127.0.0.1", 1)).get("/health")

    assert (answer.status_code, answer.json()["status"]) == (200, "healthy")
    assert "odd" in answer.json()["checks"]["looking"]["details"]


CLIENTS: list[dict[str, object]] = [{}, {"client": 7}, {"client": ("127.0.0.1",)}, {"client": (None, None)}]


@pytest.mark.parametrize("scope", [*CLIENTS, {"headers": None}, {"headers": [(1, 2)]}])
def test_a_probe_of_an_odd_client_sees_no_details(scope: dict[str, object]) -> None:
    app = Starlette(routes=health_routes(HealthService(), token="s3cret"))
    probe = {"type": "http", "method": "GET", "path": "/health", "query_string": b"", "root_path": ""}
    sent, raised = outcome(app, {**probe, **scope})

    assert raised is None
    assert sent[0].startswith("http.response.start 200")
