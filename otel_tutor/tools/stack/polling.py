"""Asking again until something holds."""

import contextlib
from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

__all__ = ["wait_for"]

T = TypeVar("T")


def wait_for(read: Callable[[], T], until: Callable[[T], bool], *, seconds: float, every: float = 0.25) -> T:
    """What `read` returns once `until` holds for it, or its last answer when `seconds` are over; asked `every` so many."""
    last: list[T] = []

    def attempt() -> bool:
        last[:] = [read()]
        return until(last[0])

    retrying = Retrying(stop=stop_after_delay(seconds), wait=wait_fixed(every), retry=retry_if_result(lambda done: not done))
    with contextlib.suppress(RetryError):
        retrying(attempt)
    return last[0]
