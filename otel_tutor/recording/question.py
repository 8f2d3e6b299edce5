"""The measurements of a question and of a call to a model, recorded by `monitoring` for an app and by `rag` for itself."""

from otel_tutor import catalogue
from otel_tutor.recording.instruments import add, labels, record

__all__ = ["record_activity", "record_first_chunk", "record_inference", "record_query"]


def record_query(
    subject: object, retrieval_duration: object, num_documents: object, generation_duration: object, outcome: object
) -> None:
    """One question; a generation duration of 0 says that nothing was generated, and is not recorded."""
    of_subject = labels((catalogue.SUBJECT, subject))
    of_outcome = labels((catalogue.SUBJECT, subject), (catalogue.OUTCOME, outcome))
    record(catalogue.RAG_RETRIEVAL, retrieval_duration, of_outcome)
    record(catalogue.RAG_DOCUMENTS, num_documents, of_subject)
    if generation_duration:
        record(catalogue.RAG_GENERATION, generation_duration, of_subject)


def record_activity(subject: object, topic: object) -> None:
    """One question that a student asked."""
    add(catalogue.QUESTIONS, 1, labels((catalogue.SUBJECT, subject), (catalogue.TOPIC, topic)))


def record_inference(
    model: object, quantization: object, duration: object, input_tokens: object, output_tokens: object, outcome: object
) -> None:
    """One call to a model; a number of tokens that is not known is not recorded."""
    of_call = labels((catalogue.MODEL, model), (catalogue.QUANTIZATION, quantization), (catalogue.OUTCOME, outcome))
    record(catalogue.MODEL_INFERENCE, duration, of_call)
    for token_type, tokens in (("input", input_tokens), ("output", output_tokens)):
        record(catalogue.MODEL_TOKENS, tokens, labels((catalogue.MODEL, model), (catalogue.TOKEN_TYPE, token_type)))


def record_first_chunk(model: object, seconds: float) -> None:
    """The first piece of an answer that a model streams."""
    record(catalogue.FIRST_CHUNK, seconds, labels((catalogue.MODEL, model)))
