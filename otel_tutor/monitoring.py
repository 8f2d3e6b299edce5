"""What an app records: `metrics_collector` and the timing decorators.

Every call is safe before `configure()`, from any thread, with any argument: nothing raises into the caller. Durations are
seconds.
"""

import functools
from collections.abc import Iterable, Mapping
from typing import Final

from opentelemetry import trace

from otel_tutor import catalogue
from otel_tutor.catalogue import Instrument
from otel_tutor.instrumentation.host import Host
from otel_tutor.instrumentation.vector_stores.documents import count_documents
from otel_tutor.instrumentation.vector_stores.search import claim, record_search
from otel_tutor.recording.attributes import pairs
from otel_tutor.recording.deadline import watch_timeouts
from otel_tutor.recording.guard import attempt, never_raise
from otel_tutor.recording.instruments import (
    Labels,
    add,
    count_attempt,
    counter,
    labels,
    limit_cardinality,
    measurement,
    observe,
    record,
)
from otel_tutor.recording.operation import MODEL, QUESTION, current_operation
from otel_tutor.recording.question import (
    record_activity,
    record_empty,
    record_generation,
    record_inference,
    record_query,
    record_retrieval,
)
from otel_tutor.recording.state import state
from otel_tutor.recording.timing import track_async_time, track_time
from otel_tutor.recording.values import to_name

__all__ = ["MetricsCollector", "metrics_collector", "track_async_time", "track_time"]


def _take_over(role: str, what: str) -> None:
    """Keep the step of `otel_tutor.rag` around the caller, if there is one, from recording the same again."""
    if (step := current_operation(role)) is not None:
        step.recorded_by_app.add(what)


def _was_counted(model_name: object) -> bool:
    """Whether an instrumented library has counted this call to a model, in the trace in progress."""
    return state.take_counted(trace.get_current_span().get_span_context().trace_id, to_name(model_name))


class MetricsCollector:
    """The recording calls, one for each thing that happens in a tutoring service.

    A `status` is "success", "cancelled", or a word for a failure such as "failed", "error" or "timeout".

    Each call for a question, an inference, a sync or a search is counted by its status, however odd its other arguments.
    Its duration is a latency, which objectives are measured on, if it was a success. Numbers may be those of numpy, Decimal
    and Fraction as well. What is none (None, NaN, text, negative, infinite) is left out, counted for its instrument in
    `otel_tutor_measurements_invalid_total`, and logged once.
    """

    def __init__(self) -> None:
        self._host = Host()

    @never_raise
    def track_rag_query(
        self,
        subject: str,
        retrieval_duration: float,
        num_documents: int,
        generation_duration: float = 0.0,
        status: str = "success",
    ) -> None:
        """Record one question, answered or not.

        A generation duration of 0 says that nothing was generated, as on the failure path; it is not recorded.
        """
        _take_over(QUESTION, "query")
        if record_query(subject, num_documents, status):
            record_retrieval(subject, retrieval_duration)
            record_generation(subject, generation_duration)
            record_empty(subject, num_documents)

    @never_raise
    def track_model_inference(
        self,
        model_name: str,
        quantization_type: str,
        duration: float,
        input_tokens: int | None,
        output_tokens: int | None,
        status: str,
    ) -> None:
        """Record one call to a model: its duration, the tokens it read and wrote, and how it ended."""
        step = current_operation(MODEL)
        if step is not None and "call" in step.recorded_by_app:
            return  # an instrumented library counts it
        _take_over(MODEL, "inference")
        if len(state.counted_calls) and attempt(_was_counted, model_name):
            return
        tokens = {"input": input_tokens, "output": output_tokens}
        record_inference(model_name, quantization_type, duration, tokens, status)

    @never_raise
    def set_model_memory(self, model_name: str, num_bytes: int) -> None:
        """State how much memory a loaded model occupies, in bytes."""
        self._state(catalogue.MODEL_MEMORY, num_bytes, model_name)

    @never_raise
    def track_student_activity(self, subject: str, topic: str) -> None:
        """Count one question a student asked, by subject and topic."""
        _take_over(QUESTION, "activity")
        record_activity(subject, topic)

    @never_raise
    def track_practice_answer(self, subject: str, correct: bool) -> None:
        """Count one practice item a student answered, rightly or not."""
        answer = "true" if attempt(bool, correct) else "false"
        add(catalogue.PRACTICE, 1, labels((catalogue.SUBJECT, subject), (catalogue.CORRECT, answer)))

    @never_raise
    def set_active_sessions(self, count: int) -> None:
        """State how many student sessions this process holds open now."""
        self._state(catalogue.SESSIONS, count)

    @never_raise
    def track_sync(self, duration: float, status: str = "success", records: Mapping[str, int] | None = None) -> None:
        """Record one synchronisation, and how many records of each type it moved."""
        if count_attempt(catalogue.SYNCS, status):
            record(catalogue.SYNC_DURATION, duration, labels())
        for record_type, count in pairs(records):
            # A type of which nothing is counted must not use up the attribute's values.
            if (number := measurement(catalogue.SYNC_RECORDS, count)) is not None:
                add(catalogue.SYNC_RECORDS, number, labels((catalogue.RECORD_TYPE, record_type)))

    @never_raise
    def set_sync_queue_size(self, count: int) -> None:
        """State how many records wait in this process to be synchronised."""
        self._state(catalogue.SYNC_QUEUE, count)

    @never_raise
    def track_vector_search(self, collection: str, duration: float, status: str = "success") -> None:
        """Record one search in a collection of the vector store.

        Clients that are observed by themselves need none: after a search of theirs, in the same trace and with the same name
        of the collection, this records nothing.
        """
        if not attempt(claim, collection):
            record_search(collection, duration, status)

    @never_raise
    def set_vector_documents(self, collection: str, count: int) -> None:
        """State how many documents a collection of the vector store holds."""
        self._state(catalogue.VECTOR_DOCUMENTS, count, collection)

    @never_raise
    def update_system_metrics(self) -> None:
        """Measure the host now. It is measured at every export anyway; no one has to call this."""
        self._host.measure()

    def start_observing(self) -> None:
        """Have the stated numbers read at every export; `configure()` calls this once."""
        for row in catalogue.STATED:
            observe(row, functools.partial(self._read, row))
        for row in catalogue.FROM_APP:  # a series that begins at 0 shows its first increase
            attempt(counter(catalogue.INVALID).add, 0, labels((catalogue.INSTRUMENT, row.name)))
        self._host.start_observing()
        attempt(watch_timeouts)

    def _state(self, row: Instrument, value: object, *label: object) -> None:
        """State a number, by the row's one attribute if it has one."""
        number = measurement(row, value)
        if number is not None:
            of = [limit_cardinality(attribute, text) for attribute, text in zip(row.attributes, label, strict=True)]
            state.gauges.setdefault(row.name, {})["".join(of)] = number

    def _read(self, row: Instrument) -> Iterable[tuple[float, Labels]]:
        """What was stated of a row, by its one attribute if it has one."""
        if row is catalogue.VECTOR_DOCUMENTS:
            attempt(count_documents)
        for label, value in list(state.gauges.get(row.name, {}).items()):
            yield value, {attribute.key: label for attribute in row.attributes}


metrics_collector: Final = MetricsCollector()
