"""What a process holds is in one place: one reset forgets it, and a forked child begins without it."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

import otel_tutor
from otel_tutor.health import DiskCheck, health_service
from otel_tutor.monitoring import metrics_collector
from otel_tutor.recording.state import ForkStep, state
from otel_tutor.testing import Capture
from tests.support.fork import in_a_fork

SEEN = {  # not http.server.active_requests: a FastAPI app that is not configured makes it too
    "http.server.request.io",
    "http.server.response.io",
    "websocket.active_connections",
    "websocket.messages",
    "sync.queue.size",
    "health.status",
    "health.check.status",
}


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)


async def hello(_: Request) -> Response:
    return PlainTextResponse("hello")


@pytest.fixture
def checked() -> Iterator[None]:
    health_service.register(DiskCheck(name="state-test"))
    yield
    health_service.unregister("state-test")


def use_everything() -> None:
    app = Starlette(routes=[Route("/hello", hello), WebSocketRoute("/echo", echo)])
    otel_tutor.configure(app)
    client = TestClient(app)
    client.get("/hello")
    with client.websocket_connect("/echo") as socket:
        socket.send_text("hello")
        socket.receive_text()
    metrics_collector.set_sync_queue_size(7)
    asyncio.run(health_service.check_health())


def test_a_reset_forgets_everything_that_was_seen(captured: Capture, checked: None) -> None:
    use_everything()
    assert set(captured.read_metrics()) >= SEEN
    captured.reset()

    assert [values for values in state.label_values.values() if values] == []
    assert set(captured.read_metrics()) & SEEN == set()


def test_what_follows_a_reset_is_counted_from_zero(captured: Capture) -> None:
    for _ in range(2):
        captured.reset()
        use_everything()

        assert captured.value("http_response_bytes_total", endpoint="/hello") == len("hello")
        assert captured.value("websocket_messages_total", endpoint="/echo", direction="receive") == 1


def test_a_request_that_a_reset_falls_into_still_ends(captured: Capture) -> None:
    async def reset(_: Request) -> Response:
        captured.reset()
        return PlainTextResponse("reset")

    app = Starlette(routes=[Route("/reset", reset)])
    otel_tutor.configure(app)
    TestClient(app).get("/reset")

    assert [span.name for span in captured.spans] == ["GET /reset"]
    assert captured.value("http_requests_total", endpoint="/reset") == 1


def test_a_forked_child_begins_without_what_its_parent_saw(captured: Capture, checked: None) -> None:
    use_everything()

    def in_child() -> list[str]:
        return sorted(set(captured.read_metrics()) & (SEEN | {"http.server.request.duration"}))

    assert in_a_fork(in_child) == []
    assert set(captured.read_metrics()) >= SEEN


def test_the_steps_of_a_child_are_taken_in_order_and_a_failing_one_stops_no_other() -> None:
    taken: list[str] = []

    def fail() -> None:
        taken.append("health")
        raise AttributeError("a part has another name")

    process = type(state)()  # beside the one of this process
    process.on_fork(ForkStep.PIPELINE, lambda: taken.append("pipeline"))
    process.on_fork(ForkStep.HEALTH, fail)
    process.on_fork(ForkStep.FORGET, lambda: taken.append("forget"))
    process.watch_forks()
    process.watch_forks()

    assert in_a_fork(lambda: taken) == ["forget", "health", "pipeline"]
    assert taken == []


def test_forks_are_watched_in_one_place(repository: Path) -> None:
    calls = {
        str(path.relative_to(repository)): len(re.findall(r"register_at_fork\(", path.read_text(encoding="utf-8")))
        for path in (repository / "otel_tutor").rglob("*.py")
    }

    assert {path: count for path, count in calls.items() if count} == {"otel_tutor/recording/state.py": 1}


@pytest.mark.processes
def test_importing_watches_no_fork() -> None:
    program = """
import os, sys
callers = []
before = os.register_at_fork
def register(**callbacks):
    callers.append(sys._getframe(1).f_globals["__name__"])
    before(**callbacks)
os.register_at_fork = register
import otel_tutor.health, otel_tutor.monitoring, otel_tutor.rag, otel_tutor.testing
print([name for name in callers if name.startswith("otel_tutor")])
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert result.stdout.strip() == "[]"
