"""What is read of an ASGI scope."""

from typing import Any

import pytest
from opentelemetry import trace
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient
from starlette.types import Scope

import otel_tutor
from otel_tutor.catalogue import ROUTE
from otel_tutor.instrumentation.route import is_probe, probe, remote_parent, route_label, route_template, will_reach_probe
from otel_tutor.recording.instruments import OTHER
from otel_tutor.testing import Capture
from otel_tutor.tracing import get_current_trace_id


async def hello(_: Request) -> Response:
    return PlainTextResponse("hello")


def test_nothing_that_matched_is_no_template() -> None:
    assert route_template({"type": "http"}) is None
    assert route_label({"type": "http", "route": object()}) is None


def test_a_value_of_a_mount_is_put_back_to_its_name(captured: Capture) -> None:
    scope: Scope = {
        "route": Route("/items/{item}", hello),
        "root_path": "/t/acme",
        "path_params": {"tenant": "acme", "item": "7"},
    }

    assert route_template(scope) == route_label(scope) == "/t/{tenant}/items/{item}"


@pytest.mark.parametrize(("root_path", "template"), [("", "/"), ("/static", "/static"), ("/static/", "/static")])
def test_a_mount_that_answers_by_itself_is_its_own_prefix(root_path: str, template: str) -> None:
    assert route_template({"route": Mount("/static", StaticFiles(check_dir=False)), "root_path": root_path}) == template


def test_routes_beyond_the_limit_share_a_label(captured: Capture) -> None:
    labels = {route_label({"route": Route(f"/generated/{number}", hello)}) for number in range(ROUTE.limit + 50)}

    assert len(labels) == ROUTE.limit + 1
    assert OTHER in labels


def test_a_trace_goes_on_from_the_header_that_carries_it(captured: Capture) -> None:
    headers = [(b"x-other", b"1"), (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]

    parent = trace.get_current_span(remote_parent({"headers": headers})).get_span_context()
    assert (f"{parent.trace_id:032x}", parent.is_remote) == ("0af7651916cd43dd8448eb211c80319c", True)


def test_an_endpoint_that_is_marked_is_a_probe_once_it_is_reached() -> None:
    async def ready(_: Request) -> Response:
        return PlainTextResponse("ready")

    assert not is_probe({"endpoint": ready})
    assert is_probe({"endpoint": probe(ready)})
    assert not is_probe({})


@pytest.mark.parametrize(
    ("path", "method", "expected"),
    [
        ("/internal/health", "GET", True),
        ("/internal/health", "POST", True),
        ("/internal/health/", "GET", False),
        ("/health", "GET", False),
        ("/internal/healthy", "GET", False),
    ],
)
def test_routes_are_asked_where_a_request_would_go(path: str, method: str, expected: bool) -> None:
    async def health(_: Request) -> Response:
        return PlainTextResponse("healthy")

    app = Starlette(routes=[Route("/health", hello), Mount("/internal", routes=[Route("/health", probe(health))])])
    scope: dict[str, Any] = {"type": "http", "method": method, "path": path, "root_path": "", "headers": []}

    assert will_reach_probe(scope, app) is expected
    assert scope == {"type": "http", "method": method, "path": path, "root_path": "", "headers": []}


def test_in_a_probe_there_is_no_trace(captured: Capture) -> None:
    seen: list[str | None] = []

    async def health(_: Request) -> Response:
        seen.append(get_current_trace_id())
        return PlainTextResponse("healthy")

    app = Starlette(routes=[Route("/health", probe(health))])
    otel_tutor.configure(app)
    TestClient(app).get("/health")

    assert seen == [None]
