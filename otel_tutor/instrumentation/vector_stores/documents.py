"""How many documents a collection holds: asked of its store at the export after it was used, and of no other.

A store may be far away, and slow: it is asked in a thread, for which the export waits a moment only. What comes later is in
the next one. While a count fails, the number stays as it was.
"""

import asyncio
import contextlib
import inspect
import threading
from collections.abc import Callable
from typing import Any, Final

from otel_tutor import catalogue
from otel_tutor.recording.instruments import OTHER, limit_cardinality, measurement
from otel_tutor.recording.state import state
from otel_tutor.recording.values import UNKNOWN

__all__ = ["count_documents", "count_later", "state_documents"]

_PATIENCE: Final = 0.5  # seconds of an export; a store in the process takes some milliseconds
_LONGEST: Final = 10.0  # seconds until an event loop that is busy or stuck is not waited for

Count = Callable[[], Any]


def count_later(collection: str, count: Count | None) -> None:
    """Have the documents counted at the next export. What `count` refers to lives on until then."""
    label = limit_cardinality(catalogue.COLLECTION, collection)
    if count is not None and label not in {OTHER, UNKNOWN}:
        state.uncounted[label] = (count, _running_loop())


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def count_documents() -> None:
    """State the numbers of the collections that were used since the last export."""
    if not state.uncounted or (state.counting is not None and state.counting.is_alive()):
        return
    uncounted = {}
    while state.uncounted:  # other threads add to it
        label, counting = state.uncounted.popitem()
        uncounted[label] = counting
    state.counting = threading.Thread(target=_count_all, args=(uncounted,), name="otel_tutor_documents", daemon=True)
    with contextlib.suppress(RuntimeError):  # the interpreter ends: no thread can be started any more
        state.counting.start()
        state.counting.join(_PATIENCE)


def _count_all(uncounted: dict[str, tuple[Count, asyncio.AbstractEventLoop | None]]) -> None:
    from opentelemetry.instrumentation.utils import suppress_instrumentation  # counting is no work of the app's

    for label, (count, loop) in uncounted.items():
        # The collection may be gone, the client closed, the server down.
        with contextlib.suppress(Exception), suppress_instrumentation():
            _state(label, _result(count, loop))


def _state(label: str, count: object) -> None:
    number = measurement(catalogue.VECTOR_DOCUMENTS, count)
    if number is not None:
        state.gauges.setdefault(catalogue.VECTOR_DOCUMENTS.name, {})[label] = number


def state_documents(collection: str, count: object) -> None:
    """State how many documents a collection holds."""
    label = limit_cardinality(catalogue.COLLECTION, collection)
    if label not in {OTHER, UNKNOWN}:
        _state(label, count)


def _result(count: Count, loop: asyncio.AbstractEventLoop | None) -> Any:
    """The number; that of an async client is awaited in the event loop that the client was used in."""
    number = count()
    if not inspect.iscoroutine(number):
        return number
    if loop is None or not loop.is_running():
        number.close()
        raise RuntimeError("there is no event loop that could await it")
    return asyncio.run_coroutine_threadsafe(number, loop).result(_LONGEST)
