"""Requests of any kind to an app, in memory: is each answered as it is without telemetry, and do series stay few?

python -m tests.fuzz.requests REQUESTS SEED
"""

import asyncio
import logging
import random
import sys
import time
import warnings
from typing import Any, Final

import psutil
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Scope

import otel_tutor
from otel_tutor.catalogue import ROUTE
from otel_tutor.health import HealthService, health_routes
from otel_tutor.recording.state import state
from otel_tutor.testing import Capture, capture

TRACEPARENT: Final = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
METHODS: Final = (
    "GET",
    "POST",
    "PUT",
    "HEAD",
    "OPTIONS",
    "get",
    "",
    "A" * 1000,
    "\ud800",
    "GE T",
    "_OTHER",
    b"GET",
    None,
    7,
)
PATHS: Final = (
    "/hello/ada",
    "/sub/hello/ada",
    "/stream",
    "/fail",
    "/health",
    "/health/ready",
    "/",
    "",
    "//",
    "/hello/",
    "*",
)
HEADERS: Final = (
    b"host",
    b"traceparent",
    b"tracestate",
    b"baggage",
    b"user-agent",
    b"content-length",
    b"x-forwarded-for",
    b"",
)
VALUES: Final = (
    b"",
    b"\xff\xfe",
    TRACEPARENT,
    b"00-0-0-00",
    b"a=1,b=2",
    b"=,=,;",
    b"k=" + b"v" * 9000,
    b"tutor.example:99999",
    b"[::1",
)


async def hello(_: Request) -> Response:
    return PlainTextResponse("hello")


async def stream(_: Request) -> Response:
    return StreamingResponse(iter(["hel", "lo"]))


async def fail(_: Request) -> Response:
    raise ValueError("of the app")


async def read(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


def make_app(framework: type[Starlette]) -> Starlette:
    """An app with routes of each kind."""
    inner: list[BaseRoute] = [Route("/hello/{name}", hello), Route("/stream", stream), Route("/fail", fail)]
    outer: list[BaseRoute] = [Route("/", read, methods=["POST", "GET"]), *health_routes(HealthService())]
    return framework(routes=[*inner, Mount("/sub", routes=inner), *outer])


def any_scope(chance: random.Random) -> Scope:
    """What a server may pass for whatever a client sends."""
    path: Any = chance.choice(PATHS)
    if chance.random() < 0.5:
        path = "/" + "".join(chr(chance.randrange(1, 0x11000)) for _ in range(chance.randrange(20)))
    method: Any = chance.choice(METHODS) if chance.random() < 0.5 else f"M{chance.random()}"
    headers = [(chance.choice(HEADERS), chance.choice(VALUES) or chance.randbytes(20)) for _ in range(chance.randrange(6))]
    scope = {"type": "http", "method": method, "path": path, "headers": headers, "query_string": chance.randbytes(5)}
    optional = {
        "server": ("tutor.example", chance.choice([80, None])),
        "client": ("10.0.0.1", 1),
        "scheme": "https",
        "root_path": "/x",
    }
    return {**scope, **{key: value for key, value in optional.items() if chance.random() < 0.5}}


async def outcome(app: ASGIApp, scope: Scope, messages: list[Message]) -> tuple[list[str], object]:
    """What the app sends, and the class of what it raises."""
    waiting, sent = iter(messages), []

    async def receive() -> Message:
        return next(waiting, {"type": "http.disconnect"})

    async def send(message: Message) -> None:
        sent.append(f"{message['type']} {message.get('status', '')}")

    try:
        await app(scope, receive, send)
    except Exception as error:
        return sent, type(error)
    return sent, None


def any_messages(chance: random.Random) -> list[Message]:
    """A body, or what is none."""
    odd: list[Any] = [b"", b"body", b"\xff" * 1000, None]
    bodies = [{"type": "http.request", "body": chance.choice(odd), "more_body": chance.random() < 0.3} for _ in range(3)]
    return bodies[: chance.randrange(4)]  # type: ignore[return-value]  # messages


async def fuzz(requests: int, seed: int, kept: Capture) -> None:
    """Send them to both kinds of apps, with and without telemetry."""
    pairs = []
    for framework in (Starlette, FastAPI):
        observed = make_app(framework)
        otel_tutor.configure(observed)
        pairs.append((observed, make_app(framework)))
    process, memory = psutil.Process(), []
    for number in range(requests):
        chance = random.Random(f"{seed} {number}")
        scope, messages = any_scope(chance), any_messages(chance)
        observed, bare = chance.choice(pairs)
        found = await outcome(observed, {**scope, "state": {}}, messages)
        expected = await outcome(bare, {**scope, "state": {}, "fastapi.telemetry": None}, messages)
        if found != expected:
            raise SystemExit(f"request {number}: {found} instead of {expected}: {scope}")
        if number % 1000 == 0:
            kept.read_metrics()
            kept.clear()
            memory.append(process.memory_info().rss >> 20)
    sys.stdout.write(f"memory in MB: {memory[:: max(1, len(memory) // 10)]}\n")


def main(requests: int, seed: int) -> None:
    """Send so many requests, and look at what was recorded."""
    warnings.simplefilter("ignore")
    logging.disable(logging.ERROR)
    started, kept = time.monotonic(), capture()
    asyncio.run(fuzz(requests, seed, kept))
    series = kept.read_metrics()["http.server.request.duration"]
    methods = {point.attributes["http.request.method"] for point in series}
    routes = {point.attributes.get("http.route") for point in series}
    if len(methods) > 12 or len(routes) > 12 or state.requests or state.overflow[ROUTE.key]:
        raise SystemExit(f"too many: {methods} {routes} {len(state.requests)}")
    seconds = time.monotonic() - started
    sys.stdout.write(f"{requests} requests answered in {seconds:.0f} s: {len(methods)} methods, {len(routes)} routes, ")
    sys.stdout.write(f"{len(series)} series, {state.internal_errors} requests that could not be observed\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
