"""The trace across threads and processes: what is started for a request goes on in its trace, and a worker leaves it.

A job of a `ThreadPoolExecutor` has the context that it was submitted in. A `threading.Thread` has that of its start, but
only until the span that was current there ends. A thread that lives on, such as one that works off a queue and was started
by the first request that needed it, would otherwise show all later work in the trace of that request; nothing tells it from
a thread that its request waits for, but that it is still there. For the same reason a forked child begins outside of any
trace. Work that goes on after its request, and is to be in its trace, belongs into an executor.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import Span

from otel_tutor.recording.state import ForkStep, state

__all__ = ["propagate_context"]

T = TypeVar("T")

_CONTEXT: Final = "_otel_tutor_context"  # of a thread, between its start and its first line


class _UntilEnd(Context):
    """The values of a context until a span ends; nothing afterwards."""

    def __init__(self, values: Context, span: Span) -> None:
        super().__init__(values)
        self._span = span

    def get(self, key: str, default: Any = None) -> Any:
        """A value, as `get_value()` asks for it."""
        return super().get(key, default) if self._span.is_recording() else default

    def copy(self) -> dict[str, object]:
        """All values, as `set_value()` asks for them."""
        return super().copy() if self._span.is_recording() else {}


def propagate_context() -> None:
    """Have threads, executors and forked children that are started from now on begin in the right trace."""
    start, submit = threading.Thread.start, ThreadPoolExecutor.submit

    def start_with_context(thread: threading.Thread) -> None:
        span = trace.get_current_span()
        if span.is_recording():
            setattr(thread, _CONTEXT, _UntilEnd(context.get_current(), span))
        start(thread)

    def submit_with_context(executor: ThreadPoolExecutor, job: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        return submit(executor, _inside, context.get_current(), job, *args, **kwargs)

    threading.Thread.start = start_with_context  # type: ignore[method-assign, assignment]
    ThreadPoolExecutor.submit = submit_with_context  # type: ignore[method-assign, assignment]
    for kind in (threading.Thread, threading.Timer):
        kind.run = _running_with_context(kind.run)  # type: ignore[method-assign, assignment]
    state.on_fork(ForkStep.CONTEXT, _leave_trace)


def _inside(within: Context, job: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    token = context.attach(within)
    try:
        return job(*args, **kwargs)
    finally:
        context.detach(token)


def _running_with_context(run: Callable[[Any], None]) -> Callable[[Any], None]:
    def run_with_context(thread: threading.Thread) -> None:
        within = vars(thread).pop(_CONTEXT, None)
        run(thread) if within is None else _inside(within, run, thread)

    return run_with_context


def _leave_trace() -> None:
    context.attach(Context())
