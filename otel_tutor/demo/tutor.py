"""The tutor: a question in, an answer out, and what is told to telemetry on the way."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from otel_tutor.demo.embedding import QUANTIZATION
from otel_tutor.demo.faults import (
    EXTRA_OUTBOX_ROWS,
    FAILING_GENERATION,
    FULL_OUTBOX,
    SLOW_RETRIEVAL,
    SLOW_RETRIEVAL_SECONDS,
    Faults,
)
from otel_tutor.demo.generation import Answer, GenerationError, Generator, input_tokens
from otel_tutor.demo.outbox import queue
from otel_tutor.demo.retrieval import UNKNOWN, Found, Retriever, Scored
from otel_tutor.demo.store import QuestionRow, load_model, writing
from otel_tutor.monitoring import metrics_collector
from otel_tutor.tracing import add_span_event, get_current_trace_id, rag_tracer, trace_model_inference

__all__ = ["Reply", "Tutor"]

_TOP_K: Final = 5

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer, what it was found to be about, the passages it rests on, its trace, and what it took in seconds."""

    answer: str
    subject: str
    topic: str
    sources: Sequence[Scored]
    trace_id: str | None
    retrieval_seconds: float
    generation_seconds: float


@dataclass(slots=True, kw_only=True)
class _Progress:
    """How far a question got: what is told of it, whichever way it ends."""

    subject: str
    topic: str = UNKNOWN
    documents: int = 0
    retrieval_seconds: float = 0.0
    generation_seconds: float = 0.0
    status: str = "error"


class Tutor:
    """Answers questions from the passages of a prepared database; safe to use from many threads."""

    def __init__(self, engine: Engine, faults: Faults) -> None:
        with Session(engine) as session:
            self._model = load_model(session)
        self._engine = engine
        self._faults = faults
        self._retriever = Retriever(engine, self._model)
        self._generator = Generator(self._model)
        metrics_collector.set_model_memory(self._model.name, self._model.num_bytes)

    @property
    def model_bytes(self) -> int:
        """What the loaded model occupies, in bytes."""
        return self._model.num_bytes

    def ask(self, question: str, subject: str | None = None, session: str | None = None) -> Reply:
        """Answer a question, about that subject if one is named, and keep both.

        Raises GenerationError when nothing usable is found, and SQLAlchemy's errors when the database is down.
        """
        started = time.perf_counter()
        progress = _Progress(subject=subject or UNKNOWN)
        try:
            with rag_tracer.trace_rag_query(question, progress.subject):
                found = self._retrieve(question, subject, progress)
                answer = self._generate(question, found, progress)
                self._keep(question, answer, found, session)
            progress.status = "success"
        finally:
            _report(progress, time.perf_counter() - started)
        return Reply(
            answer=answer.text,
            subject=found.subject,
            topic=found.topic,
            sources=[scored for scored in found.passages if scored.passage in answer.sources],
            trace_id=get_current_trace_id(),
            retrieval_seconds=progress.retrieval_seconds,
            generation_seconds=progress.generation_seconds,
        )

    def _retrieve(self, question: str, subject: str | None, progress: _Progress) -> Found:
        started = time.perf_counter()
        try:
            with rag_tracer.trace_retrieval(question, top_k=_TOP_K):
                if self._faults.is_on(SLOW_RETRIEVAL):
                    time.sleep(SLOW_RETRIEVAL_SECONDS)
                found = self._retriever.retrieve(question, subject, _TOP_K)
        finally:
            progress.retrieval_seconds = time.perf_counter() - started
        progress.subject, progress.topic, progress.documents = found.subject, found.topic, len(found.passages)
        add_span_event("subject decided", {"tutor.subject": found.subject, "tutor.topic": found.topic})
        return found

    def _generate(self, question: str, found: Found, progress: _Progress) -> Answer:
        passages = [scored.passage for scored in found.passages]
        started = time.perf_counter()
        with rag_tracer.trace_generation(len(passages)):
            tokens, written, status = input_tokens(question, passages), 0, "error"
            with trace_model_inference(self._model.name, QUANTIZATION, input_length=tokens):
                called = time.perf_counter()
                try:
                    if self._faults.is_on(FAILING_GENERATION):
                        raise GenerationError(f"the fault {FAILING_GENERATION} is on")
                    answer = self._generator.generate(question, passages)
                    written, status = answer.output_tokens, "success"
                finally:
                    duration = time.perf_counter() - called
                    metrics_collector.track_model_inference(
                        self._model.name, QUANTIZATION, duration, tokens, written, status
                    )
        progress.generation_seconds = time.perf_counter() - started
        return answer

    def _keep(self, question: str, answer: Answer, found: Found, session: str | None) -> None:
        row = QuestionRow(session=session, subject=found.subject, topic=found.topic, question=question, answer=answer.text)
        with writing(self._engine) as database:
            queue(database, "question", row)
            if self._faults.is_on(FULL_OUTBOX):
                queue(database, "injected", row, copies=EXTRA_OUTBOX_ROWS)
            database.add(row)


def _report(progress: _Progress, seconds: float) -> None:
    """One question, told once, however it ended: a student who got no answer asked all the same."""
    answered = progress.status == "success"
    metrics_collector.track_student_activity(progress.subject, progress.topic)
    metrics_collector.track_rag_query(
        progress.subject,
        progress.retrieval_seconds,
        progress.documents,
        generation_duration=progress.generation_seconds if answered else 0.0,
        status=progress.status,
    )
    _log.info(
        "question ended in %s: subject=%s topic=%s documents=%d milliseconds=%.1f",
        progress.status,
        progress.subject,
        progress.topic,
        progress.documents,
        seconds * 1000,
    )
