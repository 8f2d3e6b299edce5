"""A task that an app runs after its response becomes a span, linked to the request that it comes from.

It is no child of the request. The request is over, and its task may run for hours: in one trace the request would look slow,
and a sampler that waits for the whole trace would have decided before the task fails. As a trace by itself the task is kept
or dropped for what happens in it, its log lines carry its trace, and the link leads to the request.
"""

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.trace import Link, Span, StatusCode
from starlette.background import BackgroundTask

from otel_tutor.instrumentation.outcome import failure_of_task
from otel_tutor.instrumentation.propagation import request_span
from otel_tutor.recording.guard import attempt
from otel_tutor.recording.operation import Attached, tracer
from otel_tutor.recording.outcome import record_exception

__all__ = ["trace_background_tasks"]

_TRACED: Final = "__otel_tutor_traced__"  # attribute of the method

Run = Callable[[BackgroundTask], Coroutine[Any, Any, None]]


def trace_background_tasks() -> None:
    """Have every background task of an observed request traced, of Starlette and of FastAPI; once, however often called.

    A framework gives no other occasion: who awaits a task is the response, which no middleware sees. FastAPIInstrumentor
    wraps tasks as well, and keeps what it wrapped: that is what is traced.
    """
    run: Run = BackgroundTask.__dict__.get("_otel_original_call", BackgroundTask.__call__)
    if hasattr(run, _TRACED):
        BackgroundTask.__call__ = run  # type: ignore[assignment, method-assign]
    else:
        BackgroundTask.__call__ = _traced(run)  # type: ignore[assignment, method-assign]


def _traced(run: Run) -> Run:
    @functools.wraps(run)
    async def run_traced(task: BackgroundTask) -> None:
        request = request_span()
        span = None if request is None else attempt(_start_span, task, request)
        if span is None:
            await run(task)
            return
        try:
            with Attached(trace.set_span_in_context(span)):
                await run(task)
        except BaseException as error:
            attempt(_record_failure, span, error)
            raise
        finally:
            attempt(span.end)

    setattr(run_traced, _TRACED, True)
    return run_traced


def _start_span(task: BackgroundTask, request: Span) -> Span:
    function = task.func
    while isinstance(function, functools.partial):
        function = function.func
    owner = function if hasattr(function, "__qualname__") else type(function)
    return tracer().start_span(
        f"background {owner.__qualname__}",
        context=trace.set_span_in_context(trace.INVALID_SPAN),
        attributes={"code.function.name": f"{owner.__module__}.{owner.__qualname__}"},
        links=[Link(request.get_span_context())],
    )


def _record_failure(span: Span, error: BaseException) -> None:
    if failure_of_task(error) is None:
        return
    span.set_attribute("error.type", type(error).__qualname__)
    span.set_status(StatusCode.ERROR)
    record_exception(span, error)
