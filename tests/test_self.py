"""What the process and the SDK say of themselves."""

import asyncio
import time

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

import otel_tutor
from otel_tutor.testing import Capture
from otel_tutor.tracing import trace_operation


def test_a_callback_that_does_not_let_go_shows_as_lag_of_the_event_loop(captured: Capture) -> None:
    async def block(_: Request) -> Response:
        await asyncio.sleep(0.3)
        time.sleep(0.5)
        await asyncio.sleep(0.1)
        return PlainTextResponse("late")

    app = Starlette(routes=[Route("/block", block)])
    otel_tutor.configure(app)
    TestClient(app).get("/block")

    (lag,) = captured.read_metrics()["event_loop.lag"]
    assert lag.sum is not None
    assert 0.2 <= lag.sum <= 1


def test_the_process_is_measured_without_what_others_measure(captured: Capture) -> None:
    metrics = captured.read_metrics()

    assert {"process.cpu.time", "process.memory.usage", "process.thread.count", "cpython.gc.collections"} <= set(metrics)
    assert {name for name in metrics if name.startswith("process.runtime.")} == set()
    assert {name for name in metrics if name.startswith("system.")} == {
        "system.cpu.usage",
        "system.memory.usage",
        "system.disk.limit",
        "system.disk.usage",
    }


def test_the_sdk_counts_what_it_processed_but_not_every_start_of_a_span(captured: Capture) -> None:
    with trace_operation("work"):
        pass
    assert len(captured.spans) == 1

    metrics = captured.read_metrics()
    assert sum(point.value or 0 for point in metrics["otel.sdk.processor.span.processed"]) == 1
    assert not {"otel.sdk.span.live", "otel.sdk.span.started"} & set(metrics)
