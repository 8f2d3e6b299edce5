"""A small embedding model, trained on the corpus: TF-IDF, then truncated SVD, its projection quantized to int8."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from otel_tutor.demo.text import terms

__all__ = ["QUANTIZATION", "EmbeddingModel", "Vectors"]

QUANTIZATION: Final = "int8"
_STEPS: Final = 127  # int8 without -128, so that the scale is symmetric

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingModel:
    """Maps a text to a vector of length 1, or 0 when it shares no term with the corpus; equal texts to equal vectors."""

    vocabulary: Mapping[str, int]
    weights: Vectors
    projection: NDArray[np.int8]
    scale: Vectors

    @classmethod
    def train(cls, texts: Sequence[str], dimensions: int = 128) -> Self:
        """Learn from these texts which terms go together. The same texts give the same model."""
        counts = [Counter(terms(text)) for text in texts]
        vocabulary = {term: column for column, term in enumerate(sorted(set().union(*counts)))}
        weights = _inverse_document_frequency(vocabulary, counts)
        matrix = np.stack([_weighted(vocabulary, weights, count) for count in counts])
        directions = np.linalg.svd(matrix, full_matrices=False)[2][:dimensions].T
        # A direction is as good as its opposite; the sign is fixed so that training twice gives one model.
        directions *= np.sign(directions[np.abs(directions).argmax(axis=0), np.arange(directions.shape[1])])
        scale = np.abs(directions).max(axis=0) / _STEPS
        projection = np.rint(directions / scale).astype(np.int8)
        return cls(vocabulary=vocabulary, weights=weights, projection=projection, scale=scale.astype(np.float32))

    @property
    def name(self) -> str:
        """The model's name, its dimensions included."""
        return f"tutor-lsa-{self.projection.shape[1]}"

    @property
    def num_bytes(self) -> int:
        """The memory its arrays occupy, in bytes."""
        return self.weights.nbytes + self.projection.nbytes + self.scale.nbytes

    def embed(self, text: str) -> Vectors:
        """The vector of one text."""
        counts = Counter(terms(text))
        columns = [self.vocabulary[term] for term in counts if term in self.vocabulary]
        weighted = _weighted(self.vocabulary, self.weights, counts)[columns]
        return _unit((weighted @ self.projection[columns].astype(np.float32)) * self.scale)

    def embed_all(self, texts: Iterable[str]) -> Vectors:
        """One row for each text."""
        rows = [self.embed(text) for text in texts]
        return np.stack(rows) if rows else np.zeros((0, self.projection.shape[1]), dtype=np.float32)

    def to_bytes(self) -> tuple[str, bytes, bytes, bytes]:
        """The model in the four parts a database row can hold; `from_bytes` takes them back."""
        vocabulary = json.dumps(list(self.vocabulary))
        return vocabulary, self.weights.tobytes(), self.projection.tobytes(), self.scale.tobytes()

    @classmethod
    def from_bytes(cls, vocabulary: str, weights: bytes, projection: bytes, scale: bytes) -> Self:
        """The model whose `to_bytes` gave these parts."""
        scales = np.frombuffer(scale, dtype=np.float32)
        return cls(
            vocabulary={term: column for column, term in enumerate(json.loads(vocabulary))},
            weights=np.frombuffer(weights, dtype=np.float32),
            projection=np.frombuffer(projection, dtype=np.int8).reshape(-1, len(scales)),
            scale=scales,
        )


def _inverse_document_frequency(vocabulary: Mapping[str, int], counts: Sequence[Counter[str]]) -> Vectors:
    texts_with = Counter(term for count in counts for term in count)
    frequency = np.array([texts_with[term] for term in vocabulary], dtype=np.float32)
    weights: Vectors = np.log((1 + len(counts)) / (1 + frequency)).astype(np.float32) + np.float32(1)
    return weights


def _weighted(vocabulary: Mapping[str, int], weights: Vectors, counts: Counter[str]) -> Vectors:
    row = np.zeros(len(weights), dtype=np.float32)
    for term, count in counts.items():
        column = vocabulary.get(term)
        if column is not None:
            row[column] = (1 + np.log(count)) * weights[column]
    return _unit(row)


def _unit(vector: Vectors) -> Vectors:
    length = np.linalg.norm(vector)
    return vector / length if length else vector
