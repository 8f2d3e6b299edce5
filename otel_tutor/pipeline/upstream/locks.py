"""Locks of the SDK that a thread may hold when a signal handler or a finaliser of its own takes them again."""

import functools
import threading
from collections.abc import Iterable
from typing import Any, Final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from otel_tutor.pipeline.upstream.workaround import WorkAround, is_usable, replace
from otel_tutor.recording.reentry import apart

__all__ = ["REENTRANT_LOCKS", "interruptible_attributes", "interruptible_batches"]


def interruptible_attributes(attributes: BoundedAttributes) -> BoundedAttributes:
    """Attributes that may be set while their own thread is setting one."""
    if is_usable(REENTRANT_LOCKS):
        replace(attributes, "_lock", threading.RLock())
    return attributes


def interruptible_batches(processors: Iterable[Any]) -> None:
    """Have processors take a record while their own thread is passing one on; in a forked child again, its locks are new."""
    for processor in processors if is_usable(REENTRANT_LOCKS) else ():
        batches = processor._batch_processor
        before = batches._worker_awaken
        replace(batches, "_worker_awaken", _Event())
        before.set()  # its worker waits for this one
        counts = getattr(batches, "_metrics", None)  # of the SDK about itself, in some releases
        if counts is not None and not isinstance(counts, _Counts):
            batches._metrics = _Counts(counts)


class _Event:
    """As `threading.Event`, whose own thread may set it at any moment."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.RLock())
        self.flag = False

    def is_set(self) -> bool:
        return self.flag

    def set(self) -> None:
        with self._changed:
            self.flag = True
            self._changed.notify_all()

    def clear(self) -> None:
        self.flag = False

    def wait(self, timeout: float | None = None) -> bool:
        with self._changed:
            return self.flag or self._changed.wait(timeout)


class _Counts:
    """Counts apart from what interrupts it."""

    def __init__(self, counts: Any) -> None:
        self._counts = counts

    def __getattr__(self, name: str) -> Any:
        return functools.partial(self._count, getattr(self._counts, name))

    def _count(self, count: Any, *args: Any) -> None:
        apart(functools.partial(count, *args))


def _can_be_replaced() -> bool:
    """Whether the locks are where they are replaced."""
    from opentelemetry.sdk._shared_internal import BatchProcessor

    replace(BoundedAttributes(), "_lock", threading.RLock())
    emit, on_end = (method.__code__.co_names for method in (BatchProcessor.emit, BatchSpanProcessor.on_end))
    return "_worker_awaken" in emit and "_batch_processor" in on_end


REENTRANT_LOCKS: Final = WorkAround(
    name="re-entrant locks",
    distribution="opentelemetry-sdk",
    reason="In opentelemetry-sdk 1.45 a signal handler that records waits for a lock that its own thread holds, for ever.",
    instead="a signal handler or a finaliser that records may, rarely, stop its thread",
    works=_can_be_replaced,
)
