"""What an app records: `metrics_collector` and the timing decorators.

Every call is safe before `configure()`, from any thread, with any argument: nothing raises into the caller. Durations are
seconds.
"""

import functools
from collections.abc import Iterable, Mapping
from typing import Final

from otel_tutor import catalogue
from otel_tutor.catalogue import Instrument
from otel_tutor.instrumentation.host import Host
from otel_tutor.recording.guard import never_raise
from otel_tutor.recording.instruments import Labels, add, labels, limit_cardinality, observe, record, valid_measurement
from otel_tutor.recording.operation import current_operation
from otel_tutor.recording.question import record_activity, record_inference, record_query
from otel_tutor.recording.state import state
from otel_tutor.recording.timing import track_async_time, track_time
from otel_tutor.tracing import MODEL, QUESTION

__all__ = ["MetricsCollector", "metrics_collector", "track_async_time", "track_time"]


def _take_over(role: str, what: str) -> None:
    """Keep the step of `otel_tutor.rag` around the caller, if there is one, from recording the same again."""
    if (step := current_operation(role)) is not None:
        step.recorded_by_app.add(what)


class MetricsCollector:
    """The recording calls, one for each thing that happens in a tutoring service.

    A `status` is "success", "cancelled", or a word for a failure such as "error" or "timeout".
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
        record_query(subject, retrieval_duration, num_documents, generation_duration, status)

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
        _take_over(MODEL, "inference")
        record_inference(model_name, quantization_type, duration, input_tokens, output_tokens, status)

    @never_raise
    def set_model_memory(self, model_name: str, num_bytes: int) -> None:
        """State how much memory a loaded model occupies, in bytes."""
        self._state(catalogue.MODEL_MEMORY, num_bytes, limit_cardinality(catalogue.MODEL, model_name))

    @never_raise
    def track_student_activity(self, subject: str, topic: str) -> None:
        """Count one question a student asked, by subject and topic."""
        _take_over(QUESTION, "activity")
        record_activity(subject, topic)

    @never_raise
    def track_practice_answer(self, subject: str, correct: bool) -> None:
        """Count one practice item a student answered, rightly or not."""
        answer = "true" if correct else "false"
        add(catalogue.PRACTICE, 1, labels((catalogue.SUBJECT, subject), (catalogue.CORRECT, answer)))

    @never_raise
    def set_active_sessions(self, count: int) -> None:
        """State how many student sessions this process holds open now."""
        self._state(catalogue.SESSIONS, count)

    @never_raise
    def track_sync(self, duration: float, status: str = "success", records: Mapping[str, int] | None = None) -> None:
        """Record one synchronisation, and how many records of each type it moved."""
        record(catalogue.SYNC_DURATION, duration, labels((catalogue.OUTCOME, status)))
        for record_type, count in (records or {}).items():
            if (
                valid_measurement(count) is not None
            ):  # a type of which nothing is counted must not use up the attribute's values
                add(catalogue.SYNC_RECORDS, count, labels((catalogue.RECORD_TYPE, record_type)))

    @never_raise
    def set_sync_queue_size(self, count: int) -> None:
        """State how many records wait in this process to be synchronised."""
        self._state(catalogue.SYNC_QUEUE, count)

    @never_raise
    def track_vector_search(self, collection: str, duration: float, status: str = "success") -> None:
        """Record one search in a collection of the vector store."""
        of_search = labels((catalogue.COLLECTION, collection), (catalogue.OUTCOME, status))
        record(catalogue.VECTOR_SEARCH, duration, of_search)

    @never_raise
    def set_vector_documents(self, collection: str, count: int) -> None:
        """State how many documents a collection of the vector store holds."""
        self._state(catalogue.VECTOR_DOCUMENTS, count, limit_cardinality(catalogue.COLLECTION, collection))

    @never_raise
    def update_system_metrics(self) -> None:
        """Measure the host now. It is measured at every export anyway; no one has to call this."""
        self._host.measure()

    def start_observing(self) -> None:
        """Have the stated numbers read at every export; `configure()` calls this once."""
        for row in (catalogue.MODEL_MEMORY, catalogue.SESSIONS, catalogue.SYNC_QUEUE, catalogue.VECTOR_DOCUMENTS):
            observe(row, functools.partial(self._read, row))
        self._host.start_observing()

    def _state(self, row: Instrument, value: float, label: str = "") -> None:
        number = valid_measurement(value)
        if number is not None:
            state.gauges.setdefault(row.name, {})[label] = number

    def _read(self, row: Instrument) -> Iterable[tuple[float, Labels]]:
        """What was stated of a row, by its one attribute if it has one."""
        for label, value in list(state.gauges.get(row.name, {}).items()):
            yield value, {attribute.key: label for attribute in row.attributes}


metrics_collector: Final = MetricsCollector()
