"""A search in a vector store: one span and one measurement, however it ends.

It may be counted by hand as well: by a call of `track_vector_search` from inside of it, which then is the one that counts,
or by one that follows it in the same trace. That one is about the same search if it names the same collection; where indexes
have no name, it may call them anything. No text, vector or message is recorded.
"""

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, StatusCode
from wrapt import wrap_function_wrapper

from otel_tutor import catalogue
from otel_tutor.instrumentation.vector_stores.documents import count_later
from otel_tutor.recording import clock
from otel_tutor.recording.guard import attempt
from otel_tutor.recording.instruments import count_attempt, labels, record
from otel_tutor.recording.operation import Attached, tracer
from otel_tutor.recording.outcome import ERROR, outcome_of
from otel_tutor.recording.state import state
from otel_tutor.recording.values import to_name

__all__ = ["Collection", "Search", "claim", "observe_changes", "observe_searches", "record_search"]

_SEARCH: Final = "otel_tutor.vector_search"  # the search that the current context is in


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """What is searched. store: its `db.system.name`. count: of its documents, may be awaitable; None where it takes long."""

    store: str
    name: object
    count: Callable[[], Any] | None = None
    is_named: bool = True  # False where the name is only that of a type


Describe = Callable[[Any, tuple[Any, ...], dict[str, Any]], Collection]


class Search:
    """A search in progress. traced: whether it needs a span; a traced SQL statement has one."""

    __slots__ = ("_collection", "_context", "_ended", "_name", "_recorded_by_app", "_span", "_started", "_trace_id")

    def __init__(self, collection: Collection, operation: str, *, traced: bool = True) -> None:
        self._collection = collection
        self._name = to_name(collection.name)
        self._trace_id = trace.get_current_span().get_span_context().trace_id  # of what a call by hand would be in
        self._span = self._start_span(operation) if traced else trace.INVALID_SPAN
        inside = trace.set_span_in_context(self._span) if traced else context.get_current()
        self._context: Context = context.set_value(_SEARCH, self, inside)
        self._recorded_by_app = self._ended = False
        self._started = clock.now()

    def _start_span(self, operation: str) -> trace.Span:
        attributes = {
            "db.system.name": self._collection.store,
            "db.operation.name": operation,
            "db.collection.name": self._name,
        }
        return tracer().start_span(f"{operation} {self._name}", kind=SpanKind.CLIENT, attributes=attributes)

    def active(self) -> AbstractContextManager[None]:
        """The search as the current one."""
        return Attached(self._context)

    def claim(self) -> None:
        """Leave the measurement to the app."""
        self._recorded_by_app = True

    @staticmethod
    def current() -> "Search | None":
        """The search in progress that the caller is inside. What a search has started may have its context for longer."""
        search = context.get_value(_SEARCH)
        return search if isinstance(search, Search) and not search._ended else None

    def end(self, error: BaseException | None = None) -> None:
        """Record it, as failed if an error ended it."""
        seconds, outcome = clock.now() - self._started, outcome_of(error)
        self._ended = True
        try:
            if outcome == ERROR:
                self._span.set_attribute("error.type", type(error).__qualname__)
                self._span.set_status(StatusCode.ERROR)
            if not self._recorded_by_app:
                with self.active():  # what is recorded points to this span
                    record_search(self._name, seconds, outcome)
                state.note_counted(self._trace_id, _note(self._name if self._collection.is_named else ""))
            if error is None:
                count_later(self._name, self._collection.count)
        finally:
            self._span.end()


def record_search(collection: object, duration: object, status: object) -> None:
    """Count a search, and its duration if it was a success."""
    if count_attempt(catalogue.VECTOR_SEARCHES, status, (catalogue.COLLECTION, collection)):
        record(catalogue.VECTOR_SEARCH, duration, labels((catalogue.COLLECTION, collection)))


def claim(collection: object) -> bool:
    """Whether a search that is about to be recorded by hand was recorded by itself; one in progress will not be."""
    if (search := Search.current()) is not None:
        search.claim()
        return False
    if not len(state.counted_calls):
        return False
    trace_id = trace.get_current_span().get_span_context().trace_id
    return any(state.take_counted(trace_id, _note(name)) for name in (to_name(collection), ""))


def _note(name: str) -> str:
    return f"search in {name}"  # noted beside calls to models


def observe_searches(owner: type, method: str, describe: Describe, operation: str) -> None:
    """Wrap a method so that each call is a search. A call that it makes of another one is a part of it."""
    wrapper = _searching_async if inspect.iscoroutinefunction(getattr(owner, method)) else _searching
    wrap_function_wrapper(owner, method, wrapper(describe, operation))


def _begin(describe: Describe, operation: str, *call: Any) -> Search | None:
    return Search(describe(*call), operation) if Search.current() is None else None


def _searching(describe: Describe, operation: str) -> Callable[..., Any]:
    def search(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        run = attempt(_begin, describe, operation, instance, args, kwargs)
        if run is None:
            return wrapped(*args, **kwargs)
        try:
            with run.active():
                result = wrapped(*args, **kwargs)
        except BaseException as error:
            attempt(run.end, error)
            raise
        attempt(run.end)
        return result

    return search


def _searching_async(describe: Describe, operation: str) -> Callable[..., Any]:
    async def search(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        run = attempt(_begin, describe, operation, instance, args, kwargs)
        if run is None:
            return await wrapped(*args, **kwargs)
        try:
            with run.active():
                result = await wrapped(*args, **kwargs)
        except BaseException as error:
            attempt(run.end, error)
            raise
        attempt(run.end)
        return result

    return search


def observe_changes(owner: type, method: str, describe: Describe) -> None:
    """Wrap a method so that the documents are counted after each call."""

    def note(instance: Any, args: Any, kwargs: Any) -> None:
        collection = describe(instance, args, kwargs)
        count_later(to_name(collection.name), collection.count)

    def change(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        result = wrapped(*args, **kwargs)
        attempt(note, instance, args, kwargs)
        return result

    async def change_async(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        result = await wrapped(*args, **kwargs)
        attempt(note, instance, args, kwargs)
        return result

    is_async = inspect.iscoroutinefunction(getattr(owner, method))
    wrap_function_wrapper(owner, method, change_async if is_async else change)
