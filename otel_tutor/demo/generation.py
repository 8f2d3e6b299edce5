"""Writing an answer: the sentences of the passages, ranked by centrality and relevance, without repetition."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from otel_tutor.demo.corpus import Passage
from otel_tutor.demo.embedding import EmbeddingModel, Vectors
from otel_tutor.demo.text import count_tokens, sentences

__all__ = ["Answer", "GenerationError", "Generator", "input_tokens", "quoted"]

_LONGEST_ANSWER: Final = 3  # sentences
_DAMPING: Final = 0.5  # how much a sentence owes to the ones like it; the rest is its likeness to the question
_ROUNDS: Final = 50
_SETTLED: Final = 1e-6
_REPETITION: Final = 0.95  # cosine; closer than that, two sentences say the same
_RELEVANCE: Final = 0.7  # against novelty, in maximal marginal relevance
_LEAST_RELEVANT: Final = 0.15  # cosine; an answer whose best sentence is further from the question is none


class GenerationError(Exception):
    """No answer can be written from the passages at hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer, the passages it is taken from, and how many tokens it has."""

    text: str
    sources: Sequence[Passage]
    output_tokens: int


def input_tokens(question: str, passages: Sequence[Passage]) -> int:
    """How many tokens an answer from these passages takes in."""
    return count_tokens(question) + sum(count_tokens(passage.text) for passage in passages)


def quoted(text: str, passages: Sequence[Passage]) -> Sequence[Passage]:
    """The passages that a text has a sentence of."""
    return [passage for passage in passages if any(sentence in text for sentence in sentences(passage.text))]


class Generator:
    """Answers in sentences taken from the passages; safe to use from many threads."""

    def __init__(self, model: EmbeddingModel) -> None:
        self._model = model

    def generate(self, question: str, passages: Sequence[Passage]) -> Answer:
        """An answer of up to three sentences, in the order of the passages, the best passage first.

        Raises GenerationError when no sentence has to do with the question.
        """
        found = _sentences(passages)
        chosen = sorted(self._choose(question, passages))
        text = " ".join(found[index][1] for index in chosen)
        return Answer(
            text=text,
            sources=tuple(dict.fromkeys(found[index][0] for index in chosen)),
            output_tokens=count_tokens(text),
        )

    def write(self, question: str, passages: Sequence[Passage]) -> Iterator[str]:
        """The sentences of an answer one by one, each as soon as it is chosen, the weightiest first.

        Raises GenerationError, before the first, as `generate` does.
        """
        found = _sentences(passages)
        for index in self._choose(question, passages):
            yield found[index][1]

    def _choose(self, question: str, passages: Sequence[Passage]) -> Iterator[int]:
        found = _sentences(passages)
        vectors = self._model.embed_all(sentence for _, sentence in found)
        relevance = np.maximum(vectors @ self._model.embed(question), 0)
        if not found or relevance.max() < _LEAST_RELEVANT:
            raise GenerationError(f"no sentence of the {len(passages)} passages found has to do with the question")
        return _select(_rank(vectors, relevance), vectors)


def _sentences(passages: Sequence[Passage]) -> Sequence[tuple[Passage, str]]:
    return [(passage, sentence) for passage in passages for sentence in sentences(passage.text)]


def _rank(vectors: Vectors, relevance: Vectors) -> Vectors:
    """The weight of each sentence, 1 for the highest: a random walk over likeness that restarts at relevant ones."""
    likeness = np.maximum(vectors @ vectors.T, 0)
    np.fill_diagonal(likeness, 0)
    totals = likeness.sum(axis=1, keepdims=True)
    steps = np.divide(likeness, totals, out=np.zeros_like(likeness), where=totals > 0)
    restart = relevance / relevance.sum()
    weights: Vectors = restart
    for _ in range(_ROUNDS):
        following: Vectors = _DAMPING * (weights @ steps) + (1 - _DAMPING) * restart
        moved = np.abs(following - weights).sum()
        weights = following
        if moved < _SETTLED:
            break
    ranked: Vectors = weights / weights.max()
    return ranked


def _select(weights: Vectors, vectors: Vectors) -> Iterator[int]:
    """The sentences to use, by maximal marginal relevance: high in weight, unlike those already chosen."""
    chosen: list[int] = []
    repeated = np.zeros(len(weights), dtype=np.float32)
    while len(chosen) < min(_LONGEST_ANSWER, len(weights)):
        worth = _RELEVANCE * weights - (1 - _RELEVANCE) * repeated
        worth[(repeated > _REPETITION) | (weights <= 0)] = -np.inf
        best = int(worth.argmax())
        if worth[best] == -np.inf:
            return
        yield best
        chosen.append(best)
        repeated = np.maximum(repeated, vectors @ vectors[best])
