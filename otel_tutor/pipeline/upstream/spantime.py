"""Times of spans that tests choose."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import opentelemetry.sdk.trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from otel_tutor.pipeline.upstream.workaround import WorkAround, is_usable

__all__ = ["FROZEN_SPANS", "frozen_span_times"]


@contextmanager
def frozen_span_times(read: Callable[[], int]) -> Iterator[None]:
    """Have spans begin and end at the time that `read` gives, in nanoseconds since 1970. For tests."""
    if not is_usable(FROZEN_SPANS):
        yield
        return
    with _replaced_time(read):
        yield


@contextmanager
def _replaced_time(read: Callable[[], int]) -> Iterator[None]:
    module: Any = opentelemetry.sdk.trace  # where the SDK reads the time of a span
    before = module.time_ns
    module.time_ns = read
    try:
        yield
    finally:
        module.time_ns = before


def _freezes_spans() -> bool:
    tracer = TracerProvider(ALWAYS_ON, Resource.get_empty(), shutdown_on_exit=False).get_tracer("otel_tutor.upstream")
    with _replaced_time(lambda: 1):
        span: Any = tracer.start_span("scratch")
        span.end()
    return bool((span.start_time, span.end_time) == (1, 1))


FROZEN_SPANS: Final = WorkAround(
    name="frozen times of spans",
    distribution="opentelemetry-sdk",
    reason="opentelemetry-sdk 1.45 has no option for the clock that spans are timed by.",
    instead="captured.frozen() holds durations still, and spans have the time of the machine",
    works=_freezes_spans,
)
