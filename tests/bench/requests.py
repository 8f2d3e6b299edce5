"""One request, served in this process without a network: bare, observed by us, and by the peers."""

import asyncio
import functools
import time
from collections.abc import Callable, Coroutine
from typing import Any

from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from prometheus_client import CollectorRegistry
from prometheus_fastapi_instrumentator import Instrumentator
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Scope

import otel_tutor
from otel_tutor.testing import Capture

EACH = 200  # requests in a round


async def hello(_: Request) -> Response:
    return PlainTextResponse("hello")


def make_app() -> Starlette:
    return Starlette(routes=[Route("/hello/{name}", hello)])


def scope() -> Scope:
    headers = [(b"host", b"tutor.example"), (b"user-agent", b"bench"), (b"accept", b"*/*"), (b"content-length", b"0")]
    fixed: Scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http"}
    where = {"path": "/hello/ada", "raw_path": b"/hello/ada", "query_string": b"", "root_path": "", "headers": headers}
    return {**fixed, **where, "client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 8000)}


async def receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(_: Message) -> None:
    pass


async def serve(app: ASGIApp) -> float:
    """Processor seconds of a round."""
    began = time.process_time()
    for _ in range(EACH):
        await app(scope(), receive, send)
    return time.process_time() - began


def request_variants(kept: Capture) -> tuple[dict[str, Callable[[], float]], Callable[[], Coroutine[None, None, str]]]:
    """The variants, and a check of a further round that says what is missing of it."""
    registry = CollectorRegistry()
    ours, instrumented = make_app(), make_app()
    otel_tutor.configure(ours)
    Instrumentator(registry=registry).instrument(instrumented)
    apps: dict[str, Any] = {
        "bare": make_app(),
        "ours": ours,
        "instrumentator": instrumented,
        "contrib": OpenTelemetryMiddleware(make_app()),
    }

    async def arrived() -> str:
        kept.clear()
        await serve(ours)
        await asyncio.sleep(0)
        (point,) = kept.read_metrics()["http.server.request.duration"]
        spans, counted = len(kept.spans), registry.get_sample_value("http_requests_total", COUNTED) or 0
        complete = (point.count, spans, bool(point.exemplar_trace_ids)) == (EACH, EACH, True) and counted % EACH == 0
        return "" if complete and counted else f"{point.count} measurements, {spans} spans of {EACH}; {counted} by the peer"

    return {name: functools.partial(_run, app) for name, app in apps.items()}, arrived


COUNTED = {"method": "GET", "status": "2xx", "handler": "/hello/{name}"}


def _run(app: ASGIApp) -> float:
    return asyncio.run(serve(app))
