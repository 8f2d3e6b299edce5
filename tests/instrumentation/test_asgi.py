"""One request, one span, one duration, whatever the app does."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from fastapi import APIRouter, FastAPI
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.instrumentation._semconv import _StabilityMode
from opentelemetry.instrumentation.asgi import collect_request_attributes
from opentelemetry.trace import SpanKind, StatusCode
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from starlette.types import Message

import otel_tutor
from otel_tutor.testing import Capture, FrozenClock, Point

DURATION = "http.server.request.duration"


async def hello(request: Request) -> Response:
    return PlainTextResponse(f"hello {request.path_params}")


async def fail(_: Request) -> Response:
    raise RuntimeError("broken")


async def in_background(request: Request) -> Response:
    return PlainTextResponse("done", background=BackgroundTask(request.app.state.clock.advance, 30))


async def stream(request: Request) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            request.app.state.clock.advance(0.5)
            yield b"x"

    return StreamingResponse(chunks())


def make_app() -> Starlette:
    app = Starlette(
        routes=[
            Route("/hello/{name}", hello),
            Route("/fail", fail),
            Route("/background", in_background),
            Route("/stream", stream),
            Mount("/t/{tenant}", routes=[Route("/items/{item}", hello)]),
        ]
    )
    otel_tutor.configure(app)
    return app


@pytest.fixture
def client(captured: Capture) -> TestClient:
    return TestClient(make_app(), raise_server_exceptions=False)


def durations(captured: Capture) -> list[Point]:
    return captured.read_metrics().get(DURATION, [])


def test_a_request_counts_once_under_its_route_template(client: TestClient, captured: Capture) -> None:
    client.get("/hello/ada?secret=1")

    (point,) = durations(captured)
    assert point.count == 1
    assert point.attributes == {
        "http.request.method": "GET",
        "http.route": "/hello/{name}",
        "http.response.status_code": 200,
    }


def test_a_request_is_one_server_span_named_after_its_route(client: TestClient, captured: Capture) -> None:
    client.get("/hello/ada")

    (span,) = captured.spans
    assert (span.name, span.kind) == ("GET /hello/{name}", SpanKind.SERVER)
    assert span.attributes is not None
    assert span.attributes["url.path"] == "/hello/ada"


def test_the_servers_address_is_without_its_port(captured: Capture) -> None:
    TestClient(make_app(), base_url="http://tutor.example:8443").get("/hello/ada")

    attributes = captured.spans[0].attributes or {}
    assert (attributes["server.address"], attributes["server.port"]) == ("tutor.example", 8443)


@pytest.mark.parametrize("method", ["GET", "get", "QUERY", "BREW", " GET"])
@pytest.mark.parametrize("server", [("tutor.example", 8443), ("tutor.example", 80), ("/run/tutor.sock", None), None])
@pytest.mark.parametrize("agent", [b"curl/8", "Firefox é".encode(), b"\xff\xfe", b"Googlebot/2.1", b"alwayson", b""])
def test_attributes_are_those_of_the_instrumentation(
    captured: Capture, method: str, server: tuple[str, int | None] | None, agent: bytes
) -> None:
    headers = [(b"user-agent", agent)] if agent else []
    scope = {"type": "http", "method": method, "scheme": "https", "http_version": "2", "server": server, "headers": headers}
    send(make_app(), {**scope, "path": "/hello/ada", "query_string": b""})

    expected = collect_request_attributes({**scope, "path": "/hello/ada"}, _StabilityMode.HTTP)  # type: ignore[no-untyped-call]
    if server is not None:
        expected["server.address"] = server[0]  # without the port, which is another attribute
    attributes = dict(captured.spans[0].attributes or {})
    ours = {"http.route", "http.response.status_code"}
    assert {key: value for key, value in attributes.items() if key not in ours} == expected


def send(app: Starlette, scope: dict[str, object]) -> list[Message]:
    """The messages that an app answers a request with."""
    messages: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def keep(message: Message) -> None:
        messages.append(message)

    asyncio.run(app(scope, receive, keep))
    return messages


def test_a_user_agent_that_cannot_be_decoded_is_kept_as_latin_1(captured: Capture) -> None:
    scope = {"type": "http", "method": "GET", "path": "/hello/ada", "query_string": b""}
    send(make_app(), {**scope, "headers": [(b"user-agent", b"\xff\\x")]})

    assert (captured.spans[0].attributes or {})["user_agent.original"] == "\xff\\x"


def test_an_app_is_served_by_another_event_loop_than_asyncios(captured: Capture) -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def keep(_: Message) -> None:
        pass

    scope = {"type": "http", "method": "GET", "path": "/hello/ada", "query_string": b"", "headers": []}
    with pytest.raises(StopIteration):
        make_app()(scope, receive, keep).send(None)

    assert [span.name for span in captured.spans] == ["GET /hello/{name}"]


def test_neither_query_string_nor_client_address_is_recorded(client: TestClient, captured: Capture) -> None:
    client.get("/hello/ada?question=who+am+i")

    (span,) = captured.spans
    assert not {"url.query", "client.address", "client.port"} & set(span.attributes or {})
    assert "who" not in str(span.attributes)


def test_a_trace_goes_on_from_the_caller(client: TestClient, captured: Capture) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    client.get("/hello/ada", headers={"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"})

    (span,) = captured.spans
    assert f"{span.context.trace_id:032x}" == trace_id


def test_the_duration_carries_an_exemplar_of_its_trace(client: TestClient, captured: Capture) -> None:
    client.get("/hello/ada")

    (point,), (span,) = durations(captured), captured.spans
    assert point.exemplar_trace_ids == (span.context.trace_id,)


def test_an_unhandled_error_is_a_500_and_is_recorded_once(client: TestClient, captured: Capture) -> None:
    assert client.get("/fail").status_code == 500

    (point,), (span,) = durations(captured), captured.spans
    assert point.attributes["http.response.status_code"] == 500
    assert span.status.status_code is StatusCode.ERROR
    assert [event.name for event in span.events] == ["exception"]


def test_a_path_without_a_route_has_none_in_its_labels(client: TestClient, captured: Capture) -> None:
    client.get("/wp-admin/1")
    client.get("/wp-admin/2")

    (point,) = durations(captured)
    assert point.count == 2
    assert "http.route" not in point.attributes


def test_an_odd_method_is_folded(client: TestClient, captured: Capture) -> None:
    client.request("BREW", "/hello/ada")

    (point,) = durations(captured)
    assert point.attributes["http.request.method"] == "_OTHER"


def test_a_mount_with_parameters_keeps_its_template(client: TestClient, captured: Capture) -> None:
    client.get("/t/acme/items/7")

    (point,) = durations(captured)
    assert point.attributes["http.route"] == "/t/{tenant}/items/{item}"


@pytest.fixture
def clock(client: TestClient, captured: Capture) -> Iterator[FrozenClock]:
    """Time passes for the app only where it says so."""
    with captured.frozen() as clock:
        client.app.state.clock = clock  # type: ignore[attr-defined]  # a Starlette
        yield clock


def test_a_background_task_is_not_part_of_the_duration(client: TestClient, captured: Capture, clock: FrozenClock) -> None:
    client.get("/background")

    (point,) = durations(captured)
    assert (point.count, point.sum) == (1, 0)


def test_a_stream_is_one_span_as_long_as_the_stream(client: TestClient, captured: Capture, clock: FrozenClock) -> None:
    client.get("/stream")

    (point,), (span,) = durations(captured), captured.spans
    assert point.sum == pytest.approx(20 * 0.5)
    assert (span.end_time or 0) - (span.start_time or 0) == pytest.approx(20 * 0.5e9)


def test_requests_in_progress_are_counted_and_return_to_zero(captured: Capture) -> None:
    seen: list[Point] = []

    async def look(_: Request) -> Response:
        seen.extend(captured.read_metrics()["http.server.active_requests"])
        return PlainTextResponse("looked")

    app = Starlette(routes=[Route("/look", look)])
    otel_tutor.configure(app)
    TestClient(app).get("/look")

    here = {"http.request.method": "GET", "http.route": "/look"}
    assert [point.value for point in seen if point.attributes == here] == [1]
    after = captured.read_metrics()["http.server.active_requests"]
    assert [point.value for point in after if point.attributes == here] == [0]


def test_fastapi_counts_once_and_stands_down(captured: Capture) -> None:
    app, router = FastAPI(), APIRouter(prefix="/api")

    @router.get("/things/{thing}")
    async def thing(thing: str) -> dict[str, str]:
        return {"thing": thing}

    app.include_router(router)
    otel_tutor.configure(app)
    TestClient(app).get("/api/things/7")

    (point,), (span,) = durations(captured), captured.spans
    assert (point.count, point.attributes["http.route"]) == (1, "/api/things/{thing}")
    assert span.name == "GET /api/things/{thing}"


@pytest.mark.parametrize("header", ["traceparent", "baggage", "user-agent", "host"])
def test_a_header_that_cannot_be_read_is_still_answered_and_sent(client: TestClient, captured: Capture, header: str) -> None:
    assert client.get("/hello/%ff%ed%a0%80", headers={header.encode(): b"\xff:\xfe\xed\xa0\x80"}).status_code == 200

    assert encode_spans(captured.spans).ByteSize() > 0


def test_bytes_of_bodies_are_counted_both_ways(captured: Capture) -> None:
    async def upload(request: Request) -> Response:
        return PlainTextResponse("x" * (len(await request.body()) // 2))

    app = Starlette(routes=[Route("/upload", upload, methods=["POST"])])
    otel_tutor.configure(app)
    TestClient(app).post("/upload", content=b"y" * 1000)

    assert captured.value("http_request_bytes_total", endpoint="/upload") == 1000
    assert captured.value("http_response_bytes_total", endpoint="/upload") == 500


def test_the_first_byte_is_timed_where_a_response_is_streamed(
    client: TestClient, captured: Capture, clock: FrozenClock
) -> None:
    client.get("/hello/ada")
    client.get("/stream")

    (first,) = captured.read_metrics()["http.server.response.time_to_first_byte"]
    assert dict(first.attributes) == {"http.request.method": "GET", "http.route": "/stream"}
    assert [first.count, first.sum] == pytest.approx([1, 0.5])


def test_attributes_kept_for_the_next_request_are_its_own(client: TestClient, captured: Capture) -> None:
    for host in ("a.example", "b.example:8080"):
        for agent in ("curl/8", "Firefox"):
            client.get("/hello/ada", headers={"host": host, "user-agent": agent})

    seen = [(dict(span.attributes or {})["user_agent.original"]) for span in captured.spans]
    assert seen == ["curl/8", "Firefox"] * 2
