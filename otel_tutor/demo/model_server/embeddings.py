"""OpenAI's embeddings, of the tutor's own embedding model."""

import base64
import json
from collections.abc import Sequence

import numpy as np

from otel_tutor.demo.embedding import EmbeddingModel, Vectors
from otel_tutor.demo.model_server.errors import BadRequestError
from otel_tutor.demo.model_server.prompt import Body, limit_of
from otel_tutor.demo.text import count_tokens

__all__ = ["embed"]


def embed(body: Body, model: str, embedding: EmbeddingModel) -> tuple[bytes, int]:
    """The answer to a request, and the tokens of its input. Raises BadRequestError."""
    inputs = _inputs(body.get("input"))
    dimensions = limit_of(body, "dimensions")
    vectors = [embedding.embed(text)[:dimensions] for text, _ in inputs]
    as_numbers = body.get("encoding_format") != "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": vector.tolist() if as_numbers else _base64(vector)}
        for index, vector in enumerate(vectors)
    ]
    tokens = sum(count for _, count in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return json.dumps({"object": "list", "data": data, "model": model, "usage": usage}).encode(), tokens


def _inputs(value: object) -> Sequence[tuple[str, int]]:
    """Texts with their tokens. Some clients send numbers of tokens: these are as many, of a text that is not known."""
    if isinstance(value, str):
        return [(value, count_tokens(value))]
    if isinstance(value, list) and value and all(isinstance(item, int) for item in value):
        return [("", len(value))]
    if isinstance(value, list) and value and all(isinstance(item, str | list) and item for item in value):
        return [text for item in value for text in _inputs(item)]
    raise BadRequestError("'input' must be a text, or a list of texts.")


def _base64(vector: Vectors) -> str:
    return base64.b64encode(vector.astype(np.dtype("<f4")).tobytes()).decode()
