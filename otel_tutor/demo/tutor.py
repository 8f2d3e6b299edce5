"""The tutor: a question in, an answer out, and what is told to telemetry on the way."""

import itertools
import logging
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine

from otel_tutor.demo.corpus import Passage
from otel_tutor.demo.embedding import EmbeddingModel
from otel_tutor.demo.faults import (
    EXTRA_OUTBOX_ROWS,
    FREE_TEXT_TOPICS,
    FULL_OUTBOX,
    SLOW_RETRIEVAL,
    SLOW_RETRIEVAL_SECONDS,
    Faults,
    Leak,
)
from otel_tutor.demo.generation import Answer, quoted
from otel_tutor.demo.models import LocalModel, Model, RemoteModel, is_for_remote
from otel_tutor.demo.outbox import queue
from otel_tutor.demo.retrieval import UNKNOWN, Found, Retriever, Scored
from otel_tutor.demo.store import QuestionRow, new_id, writing
from otel_tutor.demo.text import terms
from otel_tutor.monitoring import metrics_collector
from otel_tutor.rag import Generation, Question, observe_question
from otel_tutor.tracing import add_span_event, get_current_trace_id

__all__ = ["Reply", "Tutor"]

_TOP_K: Final = 5

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer, its model, what it was found to be about, the passages it rests on, its trace, and its times in seconds.

    reference: joins feedback to the answer.
    """

    answer: str
    model: str
    subject: str
    topic: str
    sources: Sequence[Scored]
    trace_id: str | None
    reference: str
    retrieval_seconds: float
    generation_seconds: float


class Tutor:
    """Answers questions from the passages of a prepared database; safe to use from many threads."""

    def __init__(self, engine: Engine, faults: Faults, model: EmbeddingModel, remote: RemoteModel) -> None:
        self._model = model
        self._engine = engine
        self._faults = faults
        self._leak = Leak(engine, faults)
        self._retriever = Retriever(engine, model)
        self._local = LocalModel(model, faults)
        self._remote = remote
        metrics_collector.set_model_memory(model.name, model.num_bytes)

    @property
    def model_bytes(self) -> int:
        """What the loaded model occupies, in bytes."""
        return self._model.num_bytes

    @property
    def models(self) -> Sequence[str]:
        """The models that can be named."""
        return self._local.name, self._remote.name

    def ask(
        self, question: str, subject: str | None = None, session: str | None = None, model_name: str | None = None
    ) -> Reply:
        """Answer a question, about that subject and by that model if they are named, and keep both.

        Raises GenerationError when nothing usable is found, OpenAIError when the model behind HTTP fails, and SQLAlchemy's
        errors when the database is down.
        """
        model = self._choose(question, model_name)
        with observe_question(question, subject or UNKNOWN, UNKNOWN) as asked, _logged(asked):
            found = self._retrieve(asked, question, subject)
            answer = self._generate(asked, model, question, found)
            _judge(asked, question, answer.text, answer.sources)
            self._keep(question, answer.text, found, session)
            trace_id, reference = get_current_trace_id(), asked.reference
        return Reply(
            answer=answer.text,
            model=model.name,
            subject=found.subject,
            topic=found.topic,
            sources=[scored for scored in found.passages if scored.passage in answer.sources],
            trace_id=trace_id,
            reference=reference,
            retrieval_seconds=asked.retrieval_seconds or 0.0,
            generation_seconds=asked.generation_seconds,
        )

    def stream(
        self, question: str, subject: str | None = None, session: str | None = None, model_name: str | None = None
    ) -> Iterator[str]:
        """The same answer piece by piece; it is kept once the last one was asked for.

        Raises what `ask` raises, before it returns.
        """
        model = self._choose(question, model_name)
        with observe_question(question, subject or UNKNOWN, UNKNOWN) as asked:
            with _logged(asked, only_failures=True):
                found = self._retrieve(asked, question, subject)
            generation = asked.generation(model.name, model.quantization, provider=model.provider)
            pieces = generation.stream(self._write(asked, generation, model, question, found, session))
            return itertools.chain([next(pieces)], pieces)

    def _choose(self, question: str, name: str | None) -> Model:
        is_remote = is_for_remote(question) if name is None else name == self._remote.name
        return self._remote if is_remote else self._local

    def _retrieve(self, asked: Question, question: str, subject: str | None) -> Found:
        self._leak.follow()
        with asked.retrieval(top_k=_TOP_K) as retrieval:
            if self._faults.is_on(SLOW_RETRIEVAL):
                time.sleep(SLOW_RETRIEVAL_SECONDS)
            found = self._retriever.retrieve(question, subject, _TOP_K)
            retrieval.documents = len(found.passages)
            retrieval.score = max((scored.score for scored in found.passages), default=None)
        asked.guardrail("grounded", "passed" if found.passages else "blocked")
        asked.subject, asked.topic = found.subject, new_id() if self._faults.is_on(FREE_TEXT_TOPICS) else found.topic
        add_span_event("subject decided", {"tutor.subject": found.subject, "tutor.topic": found.topic})
        return found

    def _generate(self, asked: Question, model: Model, question: str, found: Found) -> Answer:
        with asked.generation(model.name, model.quantization, provider=model.provider) as generation:
            return model.answer(question, [scored.passage for scored in found.passages], generation)

    def _write(
        self, asked: Question, generation: Generation, model: Model, question: str, found: Found, session: str | None
    ) -> Iterator[str]:
        with _logged(asked):
            written = []
            for piece in model.pieces(question, [scored.passage for scored in found.passages], generation):
                written.append(piece)
                yield piece
            answer = "".join(written).strip()
            _judge(asked, question, answer, quoted(answer, [scored.passage for scored in found.passages]))
            self._keep(question, answer, found, session)

    def _keep(self, question: str, answer: str, found: Found, session: str | None) -> None:
        row = QuestionRow(session=session, subject=found.subject, topic=found.topic, question=question, answer=answer)
        with writing(self._engine) as database:
            queue(database, "question", row)
            if self._faults.is_on(FULL_OUTBOX):
                queue(database, "injected", row, copies=EXTRA_OUTBOX_ROWS)
            database.add(row)


def _judge(asked: Question, question: str, answer: str, sources: Collection[Passage]) -> None:
    """How much of what was asked about is in the answer, and how many passages it rests on."""
    asked.cited = len(sources)
    if wanted := set(terms(question)):
        asked.evaluate("relevance", len(wanted & set(terms(answer))) / len(wanted))


@contextmanager
def _logged(asked: Question, *, only_failures: bool = False) -> Iterator[None]:
    """One line for a question, however it ended: a student who got no answer asked all the same."""
    started, status = time.perf_counter(), "error"
    try:
        yield
        status = "success"
    except GeneratorExit:
        status = "cancelled"
        raise
    finally:
        if not (only_failures and status == "success"):
            _log.info(
                "question ended in %s: subject=%s topic=%s documents=%d milliseconds=%.1f",
                status,
                asked.subject,
                asked.topic,
                asked.documents,
                (time.perf_counter() - started) * 1000,
            )
