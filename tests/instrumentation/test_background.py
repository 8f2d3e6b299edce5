"""What an app does after its response is seen by itself, and is no part of the request."""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from fastapi import BackgroundTasks as FastAPIBackgroundTasks
from fastapi import FastAPI
from opentelemetry import baggage
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind
from starlette.applications import Starlette
from starlette.background import BackgroundTask, BackgroundTasks
from starlette.exceptions import HTTPException
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

import otel_tutor
from otel_tutor.health import HealthService, health_routes
from otel_tutor.instrumentation.background import trace_background_tasks
from otel_tutor.instrumentation.propagation import context_inside
from otel_tutor.recording.operation import Attached
from otel_tutor.recording.state import state
from otel_tutor.testing import Capture, FrozenClock
from otel_tutor.tracing import get_current_trace_id, trace_operation, tracer


def work(*_: Any) -> None:
    logging.getLogger("work").error("indexed for %s", baggage.get_baggage("tenant"))


async def async_work(*_: Any) -> None:
    with trace_operation("embed"):
        work()


def fail(*_: Any) -> None:
    raise RuntimeError("indexing failed")


async def async_fail(*_: Any) -> None:
    raise RuntimeError("indexing failed")


class Work:
    def __call__(self) -> None:
        work()

    def method(self) -> None:
        work()


def responding(make: Callable[[], BackgroundTask], framework: type[Starlette] = Starlette) -> Starlette:
    async def answer(_: Request) -> Response:
        return PlainTextResponse("done", background=make())

    async def stream(_: Request) -> Response:
        return StreamingResponse(iter(["do", "ne"]), background=make())

    app = framework(routes=[Route("/answer", answer), Route("/stream", stream)])
    otel_tutor.configure(app)
    return app


def injected(function: Callable[..., Any]) -> FastAPI:
    """As FastAPI has it: tasks are given to the endpoint, which adds to them."""
    app = FastAPI()

    @app.get("/answer")
    async def answer(tasks: FastAPIBackgroundTasks) -> str:
        tasks.add_task(function, 1)
        return "done"

    otel_tutor.configure(app)
    return app


def apart(captured: Capture) -> tuple[ReadableSpan, list[ReadableSpan]]:
    """The request, and what was done after it."""
    (request,) = [span for span in captured.spans if span.kind is SpanKind.SERVER]
    return request, [span for span in captured.spans if span.name.startswith("background ")]


MADE: dict[str, Callable[[Callable[..., Any]], Starlette]] = {
    "a task": lambda function: responding(lambda: BackgroundTask(function)),
    "tasks": lambda function: responding(lambda: BackgroundTasks([BackgroundTask(function)])),
    "a task of FastAPI's app": lambda function: responding(lambda: BackgroundTask(function), FastAPI),
    "injected tasks": injected,
}


@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("function", [work, async_work])
def test_a_task_is_a_span_by_itself_that_is_linked_to_its_request(
    captured: Capture, made: str, function: Callable[..., Any]
) -> None:
    assert TestClient(MADE[made](function)).get("/answer").status_code == 200

    request, (task,) = apart(captured)
    assert (task.name, task.parent, task.kind) == (f"background {function.__qualname__}", None, SpanKind.INTERNAL)
    assert [link.context.span_id for link in task.links] == [request.context.span_id]
    assert task.context.trace_id != request.context.trace_id
    assert dict(task.attributes or {})["code.function.name"] == f"{__name__}.{function.__qualname__}"


@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("function", [fail, async_fail])
@pytest.mark.parametrize("path", ["/answer", "/stream"])
def test_a_task_that_fails_is_an_error_there_and_none_of_its_request(
    captured: Capture, made: str, function: Callable[..., Any], path: str
) -> None:
    app = MADE[made](function)
    if made == "injected tasks":
        path = "/answer"
    with pytest.raises(RuntimeError, match="indexing failed"):
        TestClient(app).get(path)

    request, (task,) = apart(captured)
    assert (request.status.status_code.name, [event.name for event in request.events]) == ("UNSET", [])
    assert (task.status.status_code.name, [event.name for event in task.events]) == ("ERROR", ["exception"])
    assert captured.value("http_requests_total", status="200") == captured.value("http_requests_total") == 1


@pytest.mark.parametrize("function", [work, async_work])
def test_its_log_lines_and_spans_are_in_its_trace_with_the_callers_baggage(
    captured: Capture, function: Callable[..., Any]
) -> None:
    TestClient(responding(lambda: BackgroundTask(function))).get("/answer", headers={"baggage": "tenant=school-7"})

    _, (task,) = apart(captured)
    (line,) = [log.log_record for log in captured.logs if log.log_record.body == "indexed for school-7"]
    assert line.trace_id == task.context.trace_id
    assert {span.context.trace_id for span in captured.spans if span.name == "embed"} <= {task.context.trace_id}


def test_each_task_of_several_is_a_span_up_to_the_one_that_fails(captured: Capture) -> None:
    tasks = [BackgroundTask(function) for function in (work, fail, async_work)]
    with pytest.raises(RuntimeError):
        TestClient(responding(lambda: BackgroundTasks(tasks))).get("/answer")

    assert [task.name for task in apart(captured)[1]] == ["background work", "background fail"]


def test_a_task_is_no_part_of_the_time_of_its_request(captured: Capture) -> None:
    def take_time(clock: FrozenClock) -> None:
        clock.advance(30)

    with captured.frozen() as clock:
        TestClient(responding(lambda: BackgroundTask(take_time, clock))).get("/answer")

    request, (task,) = apart(captured)
    assert (captured.count("http_request_duration_seconds"), captured.sum("http_request_duration_seconds")) == (1, 0)
    assert [(span.end_time or 0) - (span.start_time or 0) for span in (request, task)] == [0, 30e9]


@pytest.mark.parametrize("function", [fail, async_fail])
def test_a_failing_task_behind_function_middleware_leaves_its_request_as_it_was(
    captured: Capture, function: Callable[..., Any]
) -> None:
    async def pass_on(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        return await call_next(request)

    app = injected(function)
    app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    assert TestClient(app, raise_server_exceptions=False).get("/answer").json() == "done"

    request, (task,) = apart(captured)
    assert (request.status.status_code.name, task.status.status_code.name) == ("UNSET", "ERROR")
    assert captured.value("http_requests_total", status="200") == captured.value("http_requests_total") == 1


def test_a_task_in_a_mounted_app_is_linked_to_the_one_request(captured: Capture) -> None:
    outer = Starlette(routes=[Mount("/sub", injected(work))])
    otel_tutor.configure(outer)
    TestClient(outer).get("/sub/answer")

    request, (task,) = apart(captured)
    assert [link.context.span_id for link in task.links] == [request.context.span_id]


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (Work(), "Work"),
        (Work().method, "Work.method"),
        (functools.partial(functools.partial(work, 1), 2), "work"),
        (lambda: None, "<lambda>"),
        (print, "print"),
    ],
)
def test_a_task_is_named_after_what_it_calls(captured: Capture, function: Callable[..., Any], name: str) -> None:
    TestClient(responding(lambda: BackgroundTask(function))).get("/answer")

    assert apart(captured)[1][0].name.endswith(name)


@pytest.mark.parametrize(
    ("error", "status"), [(asyncio.CancelledError(), "UNSET"), (HTTPException(404), "ERROR"), (SystemExit(1), "ERROR")]
)
def test_how_a_task_ends_decides(captured: Capture, error: BaseException, status: str) -> None:
    async def end() -> None:
        raise error

    with pytest.raises(type(error)), in_a_request():
        asyncio.run(run(BackgroundTask(end)))

    assert [span.status.status_code.name for span in captured.spans if span.name.startswith("background")] == [status]


def in_a_request() -> AbstractContextManager[None]:
    return Attached(context_inside(tracer().start_span("GET"), Context(), lambda: "/"))


async def run(task: BackgroundTask) -> None:
    await task()


def test_a_task_outside_of_any_request_is_run_and_no_more(captured: Capture) -> None:
    seen: list[str | None] = []

    async def look() -> None:
        seen.append(get_current_trace_id())

    asyncio.run(run(BackgroundTasks([BackgroundTask(look)])))
    assert (seen, captured.spans) == ([None], [])


def test_a_task_of_a_probe_is_not_traced(captured: Capture) -> None:
    app = Starlette(routes=health_routes(HealthService()))
    otel_tutor.configure(app)
    TestClient(app).get("/health/live")

    assert captured.spans == []


def test_a_task_that_cannot_be_described_is_run_all_the_same(captured: Capture) -> None:
    class Nameless:
        ran = False

        def __call__(self) -> None:
            self.ran = True

        def __getattr__(self, name: str) -> object:
            raise LookupError(name)

    nameless, task = Nameless(), BackgroundTask(work)
    task.func, task.args = nameless, ()  # type: ignore[assignment]  # the class of a task asks it for its attributes
    with in_a_request():
        asyncio.run(run(task))

    assert (nameless.ran, [span.name for span in captured.spans], state.internal_errors) == (True, [], 1)


def test_tasks_are_traced_once_however_often_it_is_asked_for(captured: Capture) -> None:
    trace_background_tasks()
    TestClient(responding(lambda: BackgroundTask(work))).get("/answer")

    assert len(apart(captured)[1]) == 1
