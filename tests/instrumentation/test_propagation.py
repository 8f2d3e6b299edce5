"""What a caller's headers say reaches the handler and goes on from there, in whatever format and form they are."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from opentelemetry import baggage, context, propagate
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.b3 import B3MultiFormat, B3SingleFormat
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.jaeger import JaegerPropagator
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

import otel_tutor
from otel_tutor.recording.state import state
from otel_tutor.testing import Capture
from otel_tutor.tracing import get_current_trace_id, trace_headers

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01".encode()

Headers = list[tuple[bytes, bytes]]


async def look(_: Request) -> Response:
    seen = {"baggage": dict(baggage.get_all()), "trace": get_current_trace_id(), "out": trace_headers()}
    return JSONResponse(seen)


def make_app(framework: type[Starlette] = Starlette) -> Starlette:
    app = framework(routes=[Route("/look", look)])
    otel_tutor.configure(app)
    return app


def ask(headers: Headers, framework: type[Starlette] = Starlette) -> dict[str, Any]:
    """What the handler sees when a server has received exactly these headers."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def keep(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/look", "query_string": b"", "root_path": "", "headers": headers}
    asyncio.run(make_app(framework)(scope, receive, keep))
    assert sent[0]["status"] == 200
    seen: dict[str, Any] = json.loads(sent[1]["body"])
    return seen


@pytest.mark.parametrize("framework", [Starlette, FastAPI])
def test_baggage_reaches_the_handler_and_goes_on(captured: Capture, framework: type[Starlette]) -> None:
    seen = ask([(b"traceparent", TRACEPARENT), (b"baggage", b"tenant=school-7,class=3%20b")], framework)

    assert (seen["trace"], seen["baggage"]) == (TRACE, {"tenant": "school-7", "class": "3 b"})
    assert seen["out"]["baggage"] == "tenant=school-7,class=3+b"
    assert seen["out"]["traceparent"].split("-")[1] == TRACE
    assert f"{captured.spans[0].parent.span_id:016x}" == SPAN if captured.spans[0].parent else False


def test_repeated_headers_are_one_list(captured: Capture) -> None:
    states = [(b"tracestate", b"a=1"), (b"tracestate", b"b=2,c=3")]
    seen = ask([(b"traceparent", TRACEPARENT), *states, (b"baggage", b"a=1"), (b"baggage", b"b=2")])

    assert seen["out"]["tracestate"] == "a=1,b=2,c=3"
    assert seen["baggage"] == {"a": "1", "b": "2"}


def test_names_of_headers_are_read_in_any_case(captured: Capture) -> None:
    seen = ask([(b"TraceParent", TRACEPARENT), (b"TRACESTATE", b"a=1"), (b"Baggage", b"tenant=school-7")])

    assert (seen["trace"], seen["baggage"], seen["out"]["tracestate"]) == (TRACE, {"tenant": "school-7"}, "a=1")


MALFORMED: dict[str, Headers] = {
    "no text": [(b"traceparent", b"\xff\xfe\xed\xa0\x80"), (b"baggage", b"\xff=\xfe")],
    "empty": [(b"traceparent", b""), (b"tracestate", b""), (b"baggage", b"")],
    "too short": [(b"traceparent", b"00-1-2-01")],
    "zeros": [(b"traceparent", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01")],
    "a version that is forbidden": [(b"traceparent", b"ff" + TRACEPARENT[2:])],
    "two": [(b"traceparent", TRACEPARENT), (b"traceparent", TRACEPARENT.replace(b"0a", b"0b"))],
    "too long": [(b"traceparent", TRACEPARENT * 1000), (b"baggage", b"a=" + b"x" * 100_000)],
    "many": [(b"baggage", b"a=1")] * 10_000,
    "no name": [(b"", b"a"), (b"\xff", b"b")],
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_what_cannot_be_read_begins_a_new_trace(captured: Capture, kind: str) -> None:
    seen = ask(MALFORMED[kind])

    assert seen["trace"] == f"{captured.spans[0].context.trace_id:032x}" != TRACE
    assert captured.spans[0].parent is None
    assert state.internal_errors == 0


@pytest.fixture
def propagator(request: pytest.FixtureRequest) -> Iterator[TextMapPropagator]:
    """What `OTEL_PROPAGATORS` would choose."""
    before = propagate.get_global_textmap()
    propagate.set_global_textmap(request.param)
    yield request.param
    propagate.set_global_textmap(before)


B3_SEVERAL: Headers = [(b"X-B3-TraceId", TRACE.encode()), (b"x-b3-spanid", SPAN.encode()), (b"x-b3-sampled", b"1")]
ALL = CompositePropagator(
    [TraceContextTextMapPropagator(), W3CBaggagePropagator(), B3SingleFormat(), B3MultiFormat(), JaegerPropagator()]
)
FORMATS: dict[str, tuple[TextMapPropagator, Headers]] = {
    "b3": (B3SingleFormat(), [(b"b3", f"{TRACE}-{SPAN}-1".encode())]),
    "b3multi": (B3MultiFormat(), B3_SEVERAL),
    "jaeger": (JaegerPropagator(), [(b"uber-trace-id", f"{TRACE}:{SPAN}:0:1".encode())]),
    "all, read by the last": (ALL, [(b"uber-trace-id", f"{TRACE}:{SPAN}:0:1".encode())]),
    "all, read by the first": (ALL, [(b"traceparent", TRACEPARENT)]),
}


@pytest.mark.parametrize(("propagator", "headers"), FORMATS.values(), ids=FORMATS, indirect=["propagator"])
def test_every_propagator_goes_on_with_the_callers_trace(
    captured: Capture, propagator: TextMapPropagator, headers: Headers
) -> None:
    seen = ask(headers)

    assert seen["trace"] == TRACE
    assert f"{captured.spans[0].parent.span_id:016x}" == SPAN if captured.spans[0].parent else False
    assert any(TRACE in value for value in seen["out"].values())


@pytest.mark.parametrize("propagator", [JaegerPropagator()], indirect=True)
def test_a_propagator_finds_headers_by_their_prefix(captured: Capture, propagator: TextMapPropagator) -> None:
    seen = ask([(b"Uber-Trace-Id", f"{TRACE}:{SPAN}:0:1".encode()), (b"uberctx-tenant", b"school-7")])

    assert seen["baggage"] == {"tenant": "school-7"}


class Failing(TraceContextTextMapPropagator):
    def extract(self, *_: Any, **__: Any) -> Context:
        raise LookupError("no header")


@pytest.mark.parametrize("propagator", [Failing(), CompositePropagator([])], indirect=True)
def test_a_propagator_that_fails_or_is_none_costs_the_callers_trace_only(
    captured: Capture, propagator: TextMapPropagator
) -> None:
    seen = ask([(b"traceparent", TRACEPARENT)])

    assert seen["trace"] not in {None, TRACE}
    assert [span.name for span in captured.spans] == ["GET /look"]


def test_baggage_reaches_a_websocket(captured: Capture) -> None:
    async def say(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_json({"baggage": dict(baggage.get_all()), "trace": get_current_trace_id()})
        await socket.close()

    app = Starlette(routes=[WebSocketRoute("/say", say)])
    otel_tutor.configure(app)
    headers = {"traceparent": TRACEPARENT.decode(), "baggage": "tenant=school-7"}
    with TestClient(app).websocket_connect("/say", headers=headers) as socket:
        assert socket.receive_json() == {"baggage": {"tenant": "school-7"}, "trace": TRACE}


def test_what_surrounds_a_request_stays_around_its_handler(captured: Capture) -> None:
    """A middleware around the app, or a caller in the same process, may have put something into the context."""
    app = make_app()

    async def with_value(scope: Scope, receive: Receive, send: Send) -> None:
        token = context.attach(baggage.set_baggage("zone", "b"))
        await app(scope, receive, send)
        context.detach(token)

    def asked(of: ASGIApp, headers: dict[str, str]) -> object:
        return TestClient(of).get("/look", headers=headers).json()["baggage"]

    assert asked(with_value, {}) == {"zone": "b"}
    assert asked(with_value, {"baggage": "tenant=school-7"}) == {"tenant": "school-7"}  # the caller's, where there is one
    assert asked(app, {}) == {}
