"""The app whose requests are timed, with Starlette and with FastAPI, and one request served without a network."""

import asyncio
from collections.abc import Callable

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Scope

__all__ = ["ROUTE", "fastapi_app", "greet", "server", "starlette_app"]

ROUTE = "/hello/{name}"


async def hello(_: Request) -> Response:
    return PlainTextResponse("hello")


async def greet(name: str) -> Response:
    return PlainTextResponse("hello")


def starlette_app() -> Starlette:
    return Starlette(routes=[Route(ROUTE, hello)])


def fastapi_app() -> FastAPI:
    app = FastAPI()
    app.get(ROUTE)(greet)
    return app


def scope(path: str) -> Scope:
    headers = [(b"host", b"tutor.example"), (b"user-agent", b"bench"), (b"accept", b"*/*"), (b"content-length", b"0")]
    fixed: Scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http"}
    where = {"path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": headers}
    return {**fixed, **where, "client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 8000)}


async def receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(_: Message) -> None:
    pass


def server(app: ASGIApp, times: int, path: str = "/hello/ada") -> Callable[[], None]:
    """A function that serves so many requests, one after the other, each in a task as a server has it.

    All its calls are in one event loop.
    """
    loop = asyncio.new_event_loop()

    async def answer() -> None:
        await app(scope(path), receive, send)

    async def serve() -> None:
        for _ in range(times):
            await loop.create_task(answer())

    return lambda: loop.run_until_complete(serve())
