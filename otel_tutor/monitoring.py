"""What an app records: `metrics_collector` and the timing decorators.

Every call is safe before `configure()`, from any thread, with any argument: nothing raises into the caller. Durations are
seconds.
"""

import functools
import threading
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final, ParamSpec, TypeVar

from otel_tutor import catalogue
from otel_tutor.catalogue import Kind, Row
from otel_tutor.guard import harmless
from otel_tutor.instruments import Labels, bounded, counter, histogram, observe, quantity

__all__ = ["MetricsCollector", "metrics_collector", "track_async_time", "track_time"]

P = ParamSpec("P")
R = TypeVar("R")


def _record(row: Row, value: object, labels: Labels) -> None:
    number = quantity(value)
    if number is not None:
        histogram(row).record(number, labels)


_observe: Final = harmless(_record)


@functools.lru_cache(maxsize=4096)
def _subject(subject: str) -> Labels:
    return {catalogue.SUBJECT.key: subject}


@functools.lru_cache(maxsize=4096)
def _subject_outcome(subject: str, outcome: str) -> Labels:
    return {catalogue.SUBJECT.key: subject, catalogue.OUTCOME.key: outcome}


class MetricsCollector:
    """The recording calls, one for each thing that happens in a tutoring service."""

    def __init__(self) -> None:
        self._sessions = 0
        self._model_memory: dict[str, int] = {}
        self._lock = threading.Lock()
        self._observing = False

    @harmless
    def track_rag_query(
        self,
        subject: str,
        retrieval_duration: float,
        num_documents: int,
        generation_duration: float = 0.0,
        status: str = "success",
    ) -> None:
        """Record one question answered, or not: `status` is "success", "error" or a word of your own.

        A generation duration of 0 says that nothing was generated, as on the failure path; it is not recorded.
        """
        subject = bounded(catalogue.SUBJECT, subject)
        _record(
            catalogue.RAG_RETRIEVAL,
            retrieval_duration,
            _subject_outcome(subject, bounded(catalogue.OUTCOME, status)),
        )
        _record(catalogue.RAG_DOCUMENTS, num_documents, _subject(subject))
        if generation_duration:
            _record(catalogue.RAG_GENERATION, generation_duration, _subject(subject))

    @harmless
    def track_model_inference(
        self,
        model_name: str,
        quantization_type: str,
        duration: float,
        input_tokens: int,
        output_tokens: int,
        status: str,
    ) -> None:
        """Record one call to a model: its duration, the tokens it read and wrote, and how it ended."""
        model = bounded(catalogue.MODEL, model_name)
        labels = {
            catalogue.MODEL.key: model,
            catalogue.QUANTIZATION.key: bounded(catalogue.QUANTIZATION, quantization_type),
            catalogue.OUTCOME.key: bounded(catalogue.OUTCOME, status),
        }
        _record(catalogue.MODEL_INFERENCE, duration, labels)
        for token_type, tokens in (("input", input_tokens), ("output", output_tokens)):
            _record(catalogue.MODEL_TOKENS, tokens, {catalogue.MODEL.key: model, catalogue.TOKEN_TYPE.key: token_type})

    @harmless
    def track_student_activity(self, subject: str, topic: str) -> None:
        """Count one question a student asked, by subject and topic."""
        labels = {
            catalogue.SUBJECT.key: bounded(catalogue.SUBJECT, subject),
            catalogue.TOPIC.key: bounded(catalogue.TOPIC, topic),
        }
        counter(catalogue.QUESTIONS).add(1, labels)

    @harmless
    def track_practice_answer(self, subject: str, correct: bool) -> None:
        """Count one practice item a student answered, rightly or not."""
        labels = {
            catalogue.SUBJECT.key: bounded(catalogue.SUBJECT, subject),
            catalogue.CORRECT.key: "true" if correct else "false",
        }
        counter(catalogue.PRACTICE).add(1, labels)

    @harmless
    def set_active_sessions(self, count: int) -> None:
        """State how many student sessions this process holds open now."""
        if quantity(count) is not None:
            self._sessions = count

    @harmless
    def set_model_memory(self, model_name: str, num_bytes: int) -> None:
        """State how much memory a loaded model occupies, in bytes."""
        if quantity(num_bytes) is not None:
            self._model_memory[bounded(catalogue.MODEL, model_name)] = num_bytes

    def start_observing(self) -> None:
        """Have the stated numbers read at every export; `configure()` calls this once."""
        with self._lock:
            if self._observing:
                return
            self._observing = True
        observe(catalogue.SESSIONS, lambda: [(self._sessions, {})])
        observe(catalogue.MODEL_MEMORY, self._read_model_memory)

    def _read_model_memory(self) -> Iterable[tuple[float, Labels]]:
        return [(size, {catalogue.MODEL.key: model}) for model, size in list(self._model_memory.items())]


metrics_collector: Final = MetricsCollector()


def _timer(name: str) -> Row:
    return Row(f"{name}.duration", Kind.HISTOGRAM, "s", (), f"Time {name} took.")


def track_time(name: str, labels: Labels | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Measure how long a function takes, in a histogram `<name>_duration_seconds` with these labels."""
    row, fixed = _timer(name), dict(labels or {})

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                _observe(row, time.perf_counter() - start, fixed)

        return call

    return decorate


def track_async_time(
    name: str, labels: Labels | None = None
) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], Callable[P, Coroutine[Any, Any, R]]]:
    """Measure how long a coroutine function takes, awaits included; otherwise as `track_time`."""
    row, fixed = _timer(name), dict(labels or {})

    def decorate(function: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
        @functools.wraps(function)
        async def call(*args: P.args, **kwargs: P.kwargs) -> R:
            start = time.perf_counter()
            try:
                return await function(*args, **kwargs)
            finally:
                _observe(row, time.perf_counter() - start, fixed)

        return call

    return decorate
