"""The measurements of a question and of a call to a model, recorded by `monitoring` for an app and by `rag` for itself."""

from collections.abc import Iterable, Mapping
from typing import Final

from otel_tutor import catalogue
from otel_tutor.prices import TOKEN_TYPES, Seller
from otel_tutor.recording.cost import record_cost
from otel_tutor.recording.guard import attempt
from otel_tutor.recording.instruments import add, count_attempt, labels, measurement, record
from otel_tutor.recording.values import to_name, to_number

__all__ = [
    "record_activity",
    "record_call",
    "record_chunk",
    "record_embeddings",
    "record_empty",
    "record_finish",
    "record_first_chunk",
    "record_generation",
    "record_inference",
    "record_quality",
    "record_query",
    "record_retrieval",
    "record_usage",
]

_NO_ONE_KNOWN: Final = Seller()
# What providers say in their own words, in those of the conventions.
_FINISHES: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_calls": "tool_call",
    "tool_use": "tool_call",
    "function_call": "tool_call",
    "safety": "content_filter",
    "refusal": "content_filter",
    "prohibited_content": "content_filter",
}


def record_query(subject: object, num_documents: object, outcome: object) -> bool:
    """One question; returns whether it was a success. What its steps took is recorded by the next two."""
    succeeded = count_attempt(catalogue.RAG_QUERIES, outcome, (catalogue.SUBJECT, subject))
    record(catalogue.RAG_DOCUMENTS, num_documents, labels((catalogue.SUBJECT, subject)))
    return succeeded


def record_retrieval(subject: object, duration: object) -> None:
    """The search for passages that were found."""
    record(catalogue.RAG_RETRIEVAL, duration, labels((catalogue.SUBJECT, subject)))


def record_empty(subject: object, num_documents: object) -> None:
    """A question whose search was done: it is counted if nothing was found."""
    if to_number(num_documents) == 0:
        add(catalogue.RAG_EMPTY, 1, labels((catalogue.SUBJECT, subject)))


def record_quality(subject: object, scores: Iterable[object], cited: object) -> None:
    """How well the best passage of each search fits, and how many passages the answer cites, or None."""
    of_subject = labels((catalogue.SUBJECT, subject))
    for score in scores:
        record(catalogue.RAG_SCORE, score, of_subject)
    if cited is not None:
        record(catalogue.RAG_CITED, cited, of_subject)


def record_generation(subject: object, duration: object) -> None:
    """The writing of an answer that was written; 0 or None says that none was, and is not recorded."""
    if duration is not None and (number := measurement(catalogue.RAG_GENERATION, duration)):
        record(catalogue.RAG_GENERATION, number, labels((catalogue.SUBJECT, subject)))


def record_activity(subject: object, topic: object) -> None:
    """One question that a student asked."""
    add(catalogue.QUESTIONS, 1, labels((catalogue.SUBJECT, subject), (catalogue.TOPIC, topic)))


def record_inference(
    model: object,
    quantization: object,
    duration: object,
    tokens: Mapping[str, object],
    outcome: object,
    seller: Seller = _NO_ONE_KNOWN,
) -> float | None:
    """One call to a model; returns what it cost, if that is known.

    tokens: by type. None for a number of them, or for the duration of a failure, says that it is not known.
    """
    record_call(model, quantization, duration, outcome)
    return record_usage(model, tokens, outcome, seller)


def record_call(model: object, quantization: object, duration: object, outcome: object) -> None:
    """One call to a model, whose usage is recorded apart from it."""
    of_model = (catalogue.MODEL, model), (catalogue.QUANTIZATION, quantization)
    succeeded = count_attempt(catalogue.MODEL_CALLS, outcome, *of_model)
    if succeeded or duration is not None:
        number = measurement(catalogue.MODEL_OPERATION, duration)
        if number is not None:
            record(catalogue.MODEL_OPERATION, number, labels(*of_model, (catalogue.OUTCOME, outcome)))
            if succeeded:
                record(catalogue.MODEL_INFERENCE, number, labels(*of_model))


def record_usage(model: object, tokens: Mapping[str, object], outcome: object, seller: Seller) -> float | None:
    """The tokens of a call that is recorded, and their cost; returns the cost, if that is known."""
    known = _record_tokens(model, tokens)
    return attempt(record_cost, model, known, outcome, seller, needed=("input", "output"))


def _record_tokens(model: object, tokens: Mapping[str, object]) -> dict[str, float]:
    """Record the tokens of a call by type, and return those that are numbers."""
    given = {kind: tokens[kind] for kind in TOKEN_TYPES if tokens.get(kind) is not None}
    numbers = {kind: measurement(catalogue.MODEL_TOKENS, number) for kind, number in given.items()}
    known = {kind: number for kind, number in numbers.items() if number is not None}
    for kind, number in known.items():
        of_type = labels((catalogue.MODEL, model), (catalogue.TOKEN_TYPE, kind))
        add(catalogue.MODEL_TOKEN_COUNT, number, of_type)
        if kind in {"input", "output"}:  # the others are parts of these
            record(catalogue.MODEL_TOKENS, number, of_type)
    return known


def record_embeddings(
    model: object, duration: object, input_tokens: object, outcome: object, seller: Seller = _NO_ONE_KNOWN
) -> float | None:
    """One request for embeddings; returns what it cost, if that is known. None for a number says that it is not known."""
    of_model = (catalogue.MODEL, model)
    if duration is not None:
        record(catalogue.MODEL_EMBEDDINGS, duration, labels(of_model, (catalogue.OUTCOME, outcome)))
    return attempt(record_cost, model, _record_tokens(model, {"input": input_tokens}), outcome, seller, needed=("input",))


def record_first_chunk(model: object, seconds: float) -> None:
    """The first piece of an answer that a model streams."""
    record(catalogue.FIRST_CHUNK, seconds, labels((catalogue.MODEL, model)))


def record_chunk(model: object, seconds: float) -> None:
    """A further piece of an answer that a model streams, after the one before."""
    record(catalogue.CHUNK_TIME, seconds, labels((catalogue.MODEL, model)))


def record_finish(model: object, reason: object) -> None:
    """Why a model ended an answer, in the words of its provider."""
    word = to_name(reason).lower().removeprefix("finishreason.")
    add(catalogue.MODEL_FINISHES, 1, labels((catalogue.MODEL, model), (catalogue.FINISH_REASON, _FINISHES.get(word, word))))
