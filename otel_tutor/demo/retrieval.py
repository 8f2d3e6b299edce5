"""Finding the passages a question can be answered from: full-text search and vectors, their rankings fused."""

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from otel_tutor.demo.corpus import Passage
from otel_tutor.demo.embedding import EmbeddingModel
from otel_tutor.demo.store import PassageRow
from otel_tutor.demo.text import terms, words
from otel_tutor.monitoring import metrics_collector

__all__ = ["UNKNOWN", "Found", "Retriever", "Scored"]

UNKNOWN: Final = "unknown"  # the subject and topic of a question that nothing was found for
_CANDIDATES: Final = 20  # of each search; more would only add passages that neither search likes
_RANK_OFFSET: Final = 1  # reciprocal rank fusion; small, since few passages are good for one question
_LONGEST_QUERY: Final = 64  # words
_WEAKEST_SIMILARITY: Final = 0.1  # cosine; below it vectors of unrelated texts lie

_MATCHES: Final = text(
    "SELECT passages.id FROM passage_words JOIN passages ON passages.id = passage_words.rowid"
    " WHERE passage_words MATCH :query AND (:subject IS NULL OR passages.subject = :subject)"
    " ORDER BY bm25(passage_words, 2.0, 1.0) LIMIT :limit"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A passage and how well it fits the question: the sum of its reciprocal ranks."""

    passage: Passage
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a question was found to be about, and its best passages, best first; none when nothing fits."""

    subject: str
    topic: str
    passages: Sequence[Scored]


class Retriever:
    """Searches the passages of one database; safe to use from many threads."""

    def __init__(self, engine: Engine, model: EmbeddingModel) -> None:
        self._engine = engine
        self._model = model
        with Session(engine) as session:
            rows = session.execute(
                select(PassageRow.id, PassageRow.subject, PassageRow.vector).order_by(PassageRow.id)
            ).all()
        self._ids = np.array([row.id for row in rows])
        self._subjects = np.array([row.subject for row in rows])
        self._vectors = np.stack([np.frombuffer(row.vector, dtype=np.float32) for row in rows])
        metrics_collector.set_vector_documents(PassageRow.__tablename__, len(rows))

    def retrieve(self, question: str, subject: str | None = None, top_k: int = 5) -> Found:
        """The `top_k` best passages, of that subject if one is named, else of the subject of the very best."""
        columns = (PassageRow.id, PassageRow.subject, PassageRow.topic, PassageRow.text)
        with Session(self._engine) as session:
            scores = _fuse((self._matching(session, question, subject), self._nearest(question, subject)))
            rows = session.execute(select(*columns).where(PassageRow.id.in_(scores))).all()
        scored = [
            Scored(passage=Passage(subject=row.subject, topic=row.topic, text=row.text), score=scores[row.id])
            for row in sorted(rows, key=lambda row: (-scores[row.id], row.id))
        ]
        return _decide(scored, subject, top_k)

    def _matching(self, session: Session, question: str, subject: str | None) -> Sequence[int]:
        query = _match_expression(question)
        if not query:
            return []
        parameters = {"query": query, "subject": subject, "limit": _CANDIDATES}
        return session.execute(_MATCHES, parameters).scalars().all()

    def _nearest(self, question: str, subject: str | None) -> Sequence[int]:
        """The search of the vector store; its collection is the passages."""
        started = time.perf_counter()
        similarity = self._vectors @ self._model.embed(question)
        if subject is not None:
            similarity = np.where(self._subjects == subject, similarity, -1.0)
        best = np.argsort(-similarity, kind="stable")[:_CANDIDATES]
        metrics_collector.track_vector_search(PassageRow.__tablename__, time.perf_counter() - started)
        return [int(self._ids[index]) for index in best if similarity[index] >= _WEAKEST_SIMILARITY]


def _match_expression(question: str) -> str:
    """Any of the question's words, each a quoted string of letters and digits, so that no text can be FTS5 syntax."""
    wanted = dict.fromkeys(word for word in words(question) if terms(word))
    return " OR ".join(f'"{word}"' for word in list(wanted)[:_LONGEST_QUERY])


def _fuse(rankings: Iterable[Sequence[int]]) -> dict[int, float]:
    scores: defaultdict[int, float] = defaultdict(float)
    for ranking in rankings:
        for rank, passage in enumerate(ranking):
            scores[passage] += 1 / (_RANK_OFFSET + rank)
    return dict(scores)


def _decide(scored: Sequence[Scored], subject: str | None, top_k: int) -> Found:
    """The best passage decides: on the corpus's own questions, letting several vote was wrong more often."""
    if not scored:
        return Found(subject=subject or UNKNOWN, topic=UNKNOWN, passages=())
    best = scored[0].passage
    same = [one for one in scored if one.passage.subject == best.subject]
    return Found(subject=best.subject, topic=best.topic, passages=same[:top_k])
