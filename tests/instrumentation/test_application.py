"""Telemetry is outside of everything an app consists of, in whatever order that is put together, and counts once."""

import logging
from collections.abc import Awaitable, Callable

import pytest
from fastapi import FastAPI
from opentelemetry.trace import SpanKind
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Host, Mount, Route, Router
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

import otel_tutor
from otel_tutor.instrumentation.application import is_observed
from otel_tutor.instrumentation.asgi import TelemetryMiddleware
from otel_tutor.testing import Capture
from otel_tutor.tracing import get_current_trace_id

FRAMEWORKS = pytest.mark.parametrize("framework", [Starlette, FastAPI])


async def hello(_: Request) -> Response:
    return PlainTextResponse("hello")


async def fail(_: Request) -> Response:
    raise RuntimeError("broken")


def make_app(framework: type[Starlette] = Starlette) -> Starlette:
    return framework(routes=[Route("/hello", hello), Route("/fail", fail)])


class Doorkeeper:
    """Lets no one in, and notes in which trace it says so."""

    traces: list[str | None]

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.traces = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        logging.getLogger("door").error("closed")
        await PlainTextResponse("closed", status_code=401)(scope, receive, send)


def statuses(captured: Capture) -> list[int]:
    """The statuses that were counted, in order of their number."""
    points = captured.read_metrics().get("http.server.request.duration", [])
    return sorted(
        status for point in points for status in [point.attributes["http.response.status_code"]] * (point.count or 0)
    )


def servers(captured: Capture) -> list[str]:
    return [span.name for span in captured.spans if span.kind is SpanKind.SERVER]


@FRAMEWORKS
@pytest.mark.parametrize("answer", [503, 418, 200])
def test_the_status_of_a_handler_of_all_exceptions_is_the_one_that_is_counted(
    captured: Capture, framework: type[Starlette], answer: int
) -> None:
    async def apologise(_: Request, error: Exception) -> Response:
        logging.getLogger("app").error("handled %s", error)
        return JSONResponse({}, status_code=answer)

    app = make_app(framework)
    otel_tutor.configure(app)
    app.add_exception_handler(Exception, apologise)
    assert TestClient(app, raise_server_exceptions=False).get("/fail").status_code == answer

    (span,), (line,) = captured.spans, [log.log_record for log in captured.logs if log.log_record.body == "handled broken"]
    assert statuses(captured) == [answer]
    assert (line.trace_id, line.span_id) == (span.context.trace_id, span.context.span_id)
    assert [event.name for event in span.events] == (["exception"] if answer == 503 else [])


@FRAMEWORKS
def test_an_exception_without_a_handler_is_a_500_with_its_exception(captured: Capture, framework: type[Starlette]) -> None:
    app = make_app(framework)
    otel_tutor.configure(app)
    assert TestClient(app, raise_server_exceptions=False).get("/fail").text == "Internal Server Error"

    (span,) = captured.spans
    assert statuses(captured) == [500]
    assert (span.name, [event.name for event in span.events]) == ("GET /fail", ["exception"])
    assert dict(span.attributes or {})["error.type"] == "RuntimeError"


@FRAMEWORKS
def test_what_middleware_answers_that_is_added_later_is_counted_and_in_a_trace(
    captured: Capture, framework: type[Starlette]
) -> None:
    app = make_app(framework)
    otel_tutor.configure(app)
    app.add_middleware(Doorkeeper)
    assert TestClient(app).get("/hello").status_code == 401

    (line,) = [log.log_record for log in captured.logs if log.log_record.body == "closed"]
    assert (statuses(captured), servers(captured)) == ([401], ["GET /hello"])
    assert line.trace_id == captured.spans[0].context.trace_id


@FRAMEWORKS
def test_function_middleware_that_is_added_later_runs_in_the_trace_and_its_failure_is_a_500(
    captured: Capture, framework: type[Starlette]
) -> None:
    traces: list[str | None] = []

    async def look(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        traces.append(get_current_trace_id())
        if "crash" in request.headers:
            raise RuntimeError("the session store is down")
        return await call_next(request)

    from starlette.middleware.base import BaseHTTPMiddleware

    app = make_app(framework)
    otel_tutor.configure(app)
    app.add_middleware(BaseHTTPMiddleware, dispatch=look)
    client = TestClient(app, raise_server_exceptions=False)
    client.get("/hello")
    client.get("/hello", headers={"crash": "1"})

    assert statuses(captured) == [200, 500]
    assert traces == [f"{span.context.trace_id:032x}" for span in captured.spans]


@FRAMEWORKS
def test_a_preflight_that_middleware_answers_is_counted_under_the_route_it_asks_for(
    captured: Capture, framework: type[Starlette]
) -> None:
    app = make_app(framework)
    otel_tutor.configure(app)
    app.add_middleware(CORSMiddleware, allow_origins=["*"])
    headers = {"Origin": "https://school.example", "Access-Control-Request-Method": "GET"}
    assert TestClient(app).options("/hello", headers=headers).status_code == 200

    assert captured.value("http_requests_total", method="OPTIONS", endpoint="/hello", status="200") == 1


@FRAMEWORKS
def test_the_middleware_of_an_app_stays_what_its_user_gave_it(captured: Capture, framework: type[Starlette]) -> None:
    app, given = make_app(framework), Middleware(Doorkeeper)
    app.user_middleware.append(given)
    otel_tutor.configure(app)

    assert app.user_middleware == [given]
    assert (is_observed(app), is_observed(make_app(framework)), is_observed(None)) == (True, False, False)


def configured_twice(app: Starlette) -> ASGIApp:
    otel_tutor.configure(app)
    otel_tutor.configure(app)
    return app


def built_before(app: Starlette) -> ASGIApp:
    app.build_middleware_stack()  # and thrown away
    otel_tutor.configure(app)
    return app


def built_after(app: Starlette) -> ASGIApp:
    otel_tutor.configure(app)
    app.middleware_stack = app.build_middleware_stack()
    return app


def built_twice(app: Starlette) -> ASGIApp:
    otel_tutor.configure(app)
    app.middleware_stack = app.build_middleware_stack()
    app.middleware_stack = app.build_middleware_stack()
    return app


def wrapped_by_hand(app: Starlette) -> ASGIApp:
    otel_tutor.configure(app)
    return CORSMiddleware(app, allow_origins=["*"])


def wrapped_in_telemetry(app: Starlette) -> ASGIApp:
    otel_tutor.configure(app)
    return TelemetryMiddleware(CORSMiddleware(TelemetryMiddleware(app), allow_origins=["*"]))


def wrapped_in_a_copying_middleware(app: Starlette) -> ASGIApp:
    otel_tutor.configure(app)

    async def copy(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope}, receive, send)

    return TelemetryMiddleware(copy)


def wrapped_by_another_instrumentation(app: Starlette) -> ASGIApp:
    """It does with `build_middleware_stack` what OpenTelemetry's own instrumentation of FastAPI does."""
    import functools
    import types

    otel_tutor.configure(app)
    original = app.build_middleware_stack

    @functools.wraps(original)
    def build(self: Starlette) -> ASGIApp:
        return CORSMiddleware(original(), allow_origins=["*"])

    app.build_middleware_stack = types.MethodType(build, app)  # type: ignore[method-assign]
    otel_tutor.configure(app)
    assert is_observed(app)
    return app


ORDERS = [
    configured_twice,
    built_before,
    built_after,
    built_twice,
    wrapped_by_hand,
    wrapped_in_telemetry,
    wrapped_in_a_copying_middleware,
    wrapped_by_another_instrumentation,
]


@FRAMEWORKS
@pytest.mark.parametrize("order", ORDERS)
def test_a_request_is_one_count_and_one_span_in_every_order(
    captured: Capture, framework: type[Starlette], order: Callable[[Starlette], ASGIApp]
) -> None:
    client = TestClient(order(make_app(framework)), raise_server_exceptions=False)
    assert [client.get(path).status_code for path in ("/hello", "/fail")] == [200, 500]

    assert statuses(captured) == [200, 500]
    assert servers(captured) == ["GET /hello", "GET /fail"]


@FRAMEWORKS
def test_a_subclass_that_builds_its_own_stack_is_observed_outside_of_it(
    captured: Capture, framework: type[Starlette]
) -> None:
    class Guarded(framework):  # type: ignore[misc, valid-type]  # a class of the parameters
        def build_middleware_stack(self) -> ASGIApp:
            return Doorkeeper(super().build_middleware_stack())

    app = make_app(Guarded)
    otel_tutor.configure(app)
    assert TestClient(app).get("/hello").status_code == 401

    assert (statuses(captured), servers(captured)) == ([401], ["GET /hello"])


def sub_app(framework: type[Starlette]) -> Starlette:
    app = framework(routes=[Route("/x/{number}", hello)])
    if isinstance(app, FastAPI):
        app.add_api_route("/api/{number}", lambda number: number)
    return app


NESTINGS: dict[str, Callable[[type[Starlette], type[Starlette]], Starlette]] = {
    "mounted": lambda outer, inner: outer(routes=[Mount("/sub", sub_app(inner))]),
    "in two mounts": lambda outer, inner: outer(routes=[Mount("/sub", outer(routes=[Mount("", sub_app(inner))]))]),
    "in a router": lambda outer, inner: outer(routes=[Mount("/sub", Router([Mount("/", sub_app(inner))]))]),
    "below a host": lambda outer, inner: outer(routes=[Host("testserver", Router([Mount("/sub", sub_app(inner))]))]),
    "behind middleware": lambda outer, inner: outer(
        routes=[Mount("/sub", CORSMiddleware(sub_app(inner), allow_origins=["*"]))]
    ),
}


@pytest.mark.parametrize("nesting", NESTINGS)
@pytest.mark.parametrize("inner", [Starlette, FastAPI])
@pytest.mark.parametrize("outer", [Starlette, FastAPI])
@pytest.mark.parametrize("both", [False, True], ids=["outer configured", "both configured"])
def test_a_mounted_app_counts_once_under_its_whole_template(
    captured: Capture, nesting: str, outer: type[Starlette], inner: type[Starlette], both: bool
) -> None:
    app = NESTINGS[nesting](outer, inner)
    otel_tutor.configure(app)
    if both:
        for route in app.routes:
            if isinstance(route, Mount) and isinstance(route.app, Starlette):
                otel_tutor.configure(route.app)
    paths = ["/sub/x/1", "/sub/x/2", *(["/sub/api/1"] if inner is FastAPI else [])]
    client = TestClient(app)
    assert {client.get(path).status_code for path in paths} == {200}

    templates = ["/sub/x/{number}"] * 2 + ["/sub/api/{number}"] * (inner is FastAPI)
    assert servers(captured) == [f"GET {template}" for template in templates]
    assert captured.value("http_requests_total") == len(paths)
    assert captured.value("http_requests_total", endpoint="/sub/x/{number}") == 2


@pytest.mark.parametrize("inner", [Starlette, FastAPI])
def test_an_app_alone_configured_in_one_that_is_not_counts_once(captured: Capture, inner: type[Starlette]) -> None:
    sub = sub_app(inner)
    otel_tutor.configure(sub)
    TestClient(Starlette(routes=[Mount("/sub", sub)])).get("/sub/x/1")

    assert servers(captured) == ["GET /sub/x/{number}"]
    assert captured.value("http_requests_total", endpoint="/sub/x/{number}") == 1


def test_an_app_alone_configured_in_one_that_measures_by_itself_leaves_it_to_that(captured: Capture) -> None:
    sub, outer = sub_app(FastAPI), FastAPI()
    otel_tutor.configure(sub)
    outer.mount("/sub", sub)
    TestClient(outer).get("/sub/api/1")

    assert len(servers(captured)) == captured.value("http_requests_total") == 1


def test_the_scope_is_afterwards_as_the_server_made_it(captured: Capture) -> None:
    scopes: list[Scope] = []
    app = make_app()
    otel_tutor.configure(app)

    async def keep(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await app(scope, receive, send)

    TestClient(keep).get("/hello")
    assert [key for key in scopes[0] if "otel" in key or "telemetry" in key] == []


@FRAMEWORKS
def test_a_path_that_middleware_changes_in_a_copy_of_the_scope_is_found(
    captured: Capture, framework: type[Starlette]
) -> None:
    class Languages:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            inner = {**scope, "path": scope["path"].removeprefix("/de")} if scope["type"] == "http" else scope
            await self.app(inner, receive, send)

    app = make_app(framework)
    otel_tutor.configure(app)
    app.add_middleware(Languages)
    assert TestClient(app).get("/de/hello").text == "hello"

    assert servers(captured) == ["GET /hello"]
