"""How late an event loop runs its callbacks, on a loop whose clock the test moves."""

import asyncio
from collections.abc import Callable, Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message, Scope

import otel_tutor
from otel_tutor.testing import Capture, Point


class Loop(asyncio.SelectorEventLoop):
    """Time passes in it only when a test says so."""

    seconds = 0.0

    def time(self) -> float:
        return self.seconds


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


def make_app(block: Callable[[], None]) -> Starlette:
    async def answer(_: Request) -> Response:
        block()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return PlainTextResponse("late")

    app = Starlette(routes=[Route("/block", answer)])
    otel_tutor.configure(app)
    return app


async def get(app: Starlette) -> None:
    """A request as of a server that sends no lifespan."""

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: Message) -> None:
        pass

    scope: Scope = {"type": "http", "method": "GET", "path": "/block", "headers": [], "query_string": b""}
    await app(scope, receive, send)


def lag(captured: Capture) -> Point | None:
    points = captured.read_metrics().get("event_loop.lag")
    return points[0] if points else None


def test_a_callback_that_blocks_shows_as_lag(captured: Capture, loop: Loop) -> None:
    def block() -> None:
        loop.seconds += 0.9  # half a second after the request's arrival the loop was to be looked at

    loop.run_until_complete(get(make_app(block)))

    point = lag(captured)
    assert point is not None
    assert [point.count, point.sum] == pytest.approx([1, 0.4])


def test_a_loop_is_watched_once_however_many_requests_it_answers(captured: Capture, loop: Loop) -> None:
    app = make_app(lambda: None)
    for _ in range(3):
        loop.run_until_complete(get(app))
    loop.seconds += 0.5
    loop.run_until_complete(asyncio.sleep(0))

    point = lag(captured)
    assert point is not None
    assert (point.count, point.sum) == (1, 0)


def test_each_loop_that_an_app_is_served_in_is_watched(captured: Capture) -> None:
    app = make_app(lambda: None)
    for _ in range(2):
        loop = Loop()
        loop.run_until_complete(get(app))
        loop.seconds += 0.75
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

    point = lag(captured)
    assert point is not None
    assert [point.count, point.sum] == pytest.approx([2, 0.5])


def test_an_idle_app_is_watched_from_its_lifespan_on(captured: Capture, loop: Loop) -> None:
    app = make_app(lambda: None)
    received: list[Message] = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive() -> Message:
        if len(received) == 1:
            loop.seconds += 1.0
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return received.pop(0)

    async def send(_: Message) -> None:
        pass

    loop.run_until_complete(app({"type": "lifespan"}, receive, send))

    assert lag(captured) is not None
