"""Beside OpenTelemetry's own instrumentations of HTTP, in every order, a request is one count and has one server span."""

from collections.abc import Callable
from typing import Any

import fastapi
import pytest
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.trace import Span, SpanKind
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Scope
from starlette.websockets import WebSocket

import otel_tutor
from otel_tutor.testing import Capture


async def clean_up() -> None:
    pass


async def hello(_: Request) -> Response:
    return PlainTextResponse("hello", background=BackgroundTask(clean_up))


async def fail(_: Request) -> Response:
    raise RuntimeError("broken")


async def chat(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()


def mark(span: Span, _: Scope) -> None:
    span.set_attribute("tutor.school", "north")


def make_app(framework: type[Starlette]) -> Starlette:
    """An app in which another one is mounted."""
    outer, inner = framework(), framework()
    for app in (outer, inner):
        app.router.routes += [Route("/hello", hello), Route("/fail", fail)]
        app.router.add_websocket_route("/chat", chat)
    outer.mount("/inner", inner)
    return outer


def mounted(app: Starlette) -> Any:
    return next(getattr(route, "app", None) for route in app.routes if getattr(route, "path", "") == "/inner")


def by_fastapi_instrumentor(app: Any) -> None:
    FastAPIInstrumentor.instrument_app(app, server_request_hook=mark)


def by_middleware(app: Any) -> None:
    app.add_middleware(OpenTelemetryMiddleware, server_request_hook=mark)


def ask(app: ASGIApp) -> None:
    client = TestClient(app, raise_server_exceptions=False)
    for path in ("/hello", "/fail", "/inner/hello", "/inner/fail"):
        client.get(path)
    with client.websocket_connect("/chat"):
        pass


def assert_observed_once(captured: Capture, tasks: int = 2) -> None:
    server = [span for span in captured.spans if span.kind is SpanKind.SERVER]
    routes = ["GET /fail", "GET /hello", "GET /inner/fail", "GET /inner/hello", "WEBSOCKET /chat"]
    assert sorted(span.name for span in server) == routes
    others = [span.name for span in captured.spans if span.kind is not SpanKind.SERVER]
    assert len(others) == tasks
    assert len([name for name in others if "clean_up" in name]) == tasks
    assert [point.count for point in captured.read_metrics()["http.server.request.duration"]] == [1, 1, 1, 1]
    for span in server:
        assert len([event for event in span.events if event.name == "exception"]) == ("fail" in span.name)


@pytest.mark.parametrize(
    ("framework", "instrument"),
    [(fastapi.FastAPI, by_fastapi_instrumentor), (fastapi.FastAPI, by_middleware), (Starlette, by_middleware)],
)
@pytest.mark.parametrize("where", [lambda app: app, mounted], ids=["app", "mounted"])
@pytest.mark.parametrize("is_first", [True, False], ids=["before", "after"])
def test_an_app_that_both_instrument_is_observed_once(
    captured: Capture,
    framework: type[Starlette],
    instrument: Callable[[Any], None],
    where: Callable[..., Any],
    is_first: bool,
) -> None:
    app = make_app(framework)
    if is_first:
        instrument(where(app))
    otel_tutor.configure(app)
    if not is_first:
        instrument(where(app))
    ask(app)

    assert_observed_once(captured)


def test_every_app_of_a_process_may_be_instrumented(captured: Capture) -> None:
    FastAPIInstrumentor().instrument(server_request_hook=mark)
    try:
        app = make_app(fastapi.FastAPI)
        otel_tutor.configure(app)
        ask(app)
    finally:
        FastAPIInstrumentor().uninstrument()

    assert_observed_once(captured)
    assert {(span.attributes or {}).get("tutor.school") for span in captured.spans if "hello" in span.name} == {"north"}


def test_a_middleware_around_the_app_leaves_its_requests_to_it(captured: Capture) -> None:
    app = make_app(Starlette)
    otel_tutor.configure(app)
    ask(OpenTelemetryMiddleware(OpenTelemetryMiddleware(app)))

    assert_observed_once(captured)


def test_an_app_around_that_is_instrumented_keeps_what_it_got_first(captured: Capture) -> None:
    outer, inner = Starlette(), make_app(fastapi.FastAPI)
    outer.mount("/lessons", inner)
    by_middleware(outer)
    otel_tutor.configure(inner)
    TestClient(outer).get("/lessons/hello")

    (server,) = [span for span in captured.spans if span.kind is SpanKind.SERVER]
    assert server.instrumentation_scope is not None
    assert server.instrumentation_scope.name == "opentelemetry.instrumentation.asgi"


def test_a_hook_that_fails_fails_no_request(captured: Capture) -> None:
    def fail_in_hook(span: Span, scope: Scope) -> None:
        raise ValueError("hook")

    app = make_app(Starlette)
    app.add_middleware(OpenTelemetryMiddleware, server_request_hook=fail_in_hook)
    otel_tutor.configure(app)

    assert TestClient(app).get("/hello").status_code == 200
    assert len(captured.spans) == 2
