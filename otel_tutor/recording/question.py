"""The measurements of a question and of a call to a model, recorded by `monitoring` for an app and by `rag` for itself."""

from otel_tutor import catalogue
from otel_tutor.recording.instruments import add, count_attempt, labels, measurement, record

__all__ = [
    "record_activity",
    "record_embeddings",
    "record_first_chunk",
    "record_generation",
    "record_inference",
    "record_query",
    "record_retrieval",
]


def record_query(subject: object, num_documents: object, outcome: object) -> bool:
    """One question; returns whether it was a success. What its steps took is recorded by the next two."""
    succeeded = count_attempt(catalogue.RAG_QUERIES, outcome, (catalogue.SUBJECT, subject))
    record(catalogue.RAG_DOCUMENTS, num_documents, labels((catalogue.SUBJECT, subject)))
    return succeeded


def record_retrieval(subject: object, duration: object) -> None:
    """The search for passages that were found."""
    record(catalogue.RAG_RETRIEVAL, duration, labels((catalogue.SUBJECT, subject)))


def record_generation(subject: object, duration: object) -> None:
    """The writing of an answer that was written; 0 or None says that none was, and is not recorded."""
    if duration is not None and (number := measurement(catalogue.RAG_GENERATION, duration)):
        record(catalogue.RAG_GENERATION, number, labels((catalogue.SUBJECT, subject)))


def record_activity(subject: object, topic: object) -> None:
    """One question that a student asked."""
    add(catalogue.QUESTIONS, 1, labels((catalogue.SUBJECT, subject), (catalogue.TOPIC, topic)))


def record_inference(
    model: object, quantization: object, duration: object, input_tokens: object, output_tokens: object, outcome: object
) -> None:
    """One call to a model. None for a number of tokens, or for the duration of a failure, says that it is not known."""
    of_model = (catalogue.MODEL, model), (catalogue.QUANTIZATION, quantization)
    succeeded = count_attempt(catalogue.MODEL_CALLS, outcome, *of_model)
    if succeeded or duration is not None:
        number = measurement(catalogue.MODEL_OPERATION, duration)
        if number is not None:
            record(catalogue.MODEL_OPERATION, number, labels(*of_model, (catalogue.OUTCOME, outcome)))
            if succeeded:
                record(catalogue.MODEL_INFERENCE, number, labels(*of_model))
    for token_type, tokens in (("input", input_tokens), ("output", output_tokens)):
        if tokens is not None:
            record(catalogue.MODEL_TOKENS, tokens, labels((catalogue.MODEL, model), (catalogue.TOKEN_TYPE, token_type)))


def record_embeddings(model: object, duration: object, input_tokens: object, outcome: object) -> None:
    """One request for embeddings. None for a number says that it is not known."""
    of_model = (catalogue.MODEL, model)
    if duration is not None:
        record(catalogue.MODEL_EMBEDDINGS, duration, labels(of_model, (catalogue.OUTCOME, outcome)))
    if input_tokens is not None:
        record(catalogue.MODEL_TOKENS, input_tokens, labels(of_model, (catalogue.TOKEN_TYPE, "input")))


def record_first_chunk(model: object, seconds: float) -> None:
    """The first piece of an answer that a model streams."""
    record(catalogue.FIRST_CHUNK, seconds, labels((catalogue.MODEL, model)))
