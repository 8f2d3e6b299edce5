"""One call for a question and each of its steps: the span and the measurements together, however it ends.

    with observe_question(text, subject="physics") as question:
        with question.retrieval(top_k=5) as retrieval:
            passages = search(text)
            retrieval.documents = len(passages)
        with question.generation("llama-3", "q4") as generation:
            answer = write(text, passages)
            generation.output_tokens = count(answer)

A streamed answer is handed on inside the block: `return StreamingResponse(question.generation(...).stream(pieces))`.
The question then ends with the last piece, or when the client goes away. Calls of `otel_tutor.monitoring` and
`otel_tutor.tracing` inside such a block take the place of what it would have recorded itself: nothing counts twice.
"""

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Final, Self, TypeVar, overload

from otel_tutor import catalogue
from otel_tutor.monitoring import metrics_collector
from otel_tutor.recording.instruments import bounded, record
from otel_tutor.recording.operation import Operation, was_cancelled
from otel_tutor.recording.stream import AsyncStream, Stream
from otel_tutor.tracing import (
    GENERATION,
    INPUT_TOKENS,
    MODEL,
    OUTPUT_TOKENS,
    QUESTION,
    RETRIEVAL,
    model_attributes,
    question_attributes,
    retrieval_attributes,
)

__all__ = ["Generation", "Question", "Retrieval", "observe_question"]

T = TypeVar("T")


def observe_question(question: str, subject: str, topic: str | None = None) -> "Question":
    """Observe the answering of a question, in a `with` block, sync or async code alike."""
    return Question(question, subject, topic)


def _outcome(error: BaseException | None) -> str:
    return "success" if error is None else "cancelled" if was_cancelled(error) else "error"


class _Step:
    """A `with` block around an operation that begins when it is entered."""

    def __init__(self) -> None:
        self._operation: Operation | None = None
        self._entered = ExitStack()

    def _begin(self) -> Operation:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._operation = self._begin()
        self._entered.enter_context(self._operation.active())
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        self._entered.close()
        self._leave(error)

    def _leave(self, error: BaseException | None) -> None:
        if self._operation is not None:
            self._operation.end(error)


class Question(_Step):
    """A question being answered. Subject, topic and number of documents can be set until it ends; durations are seconds."""

    def __init__(self, question: str, subject: str, topic: str | None) -> None:
        super().__init__()
        self.subject = subject
        self.topic = topic
        self.documents = 0
        self.retrieval_seconds: float | None = None
        self.generation_seconds = 0.0
        self._text: Final = question
        self._streams = 0  # handed out and not at their end
        self._left = False

    def retrieval(self, top_k: int = 5) -> "Retrieval":
        """Observe the search for passages, in a `with` block; `top_k` is how many are asked for."""
        return Retrieval(self, self._text, top_k)

    def generation(self, model_name: str, quantization_type: str = "none", input_tokens: int | None = None) -> "Generation":
        """Observe the writing of the answer by a model: in a `with` block, or as a stream."""
        return Generation(self, model_name, quantization_type, input_tokens)

    def _begin(self) -> Operation:
        attributes = question_attributes(self._text, self.subject)
        return Operation("rag.query", attributes, role=QUESTION, on_end=self._record)

    def _leave(self, error: BaseException | None) -> None:
        self._left = True
        if error is not None or not self._streams:
            super()._leave(error)

    def _stream_ended(self, error: BaseException | None) -> None:
        self._streams -= 1
        if self._left:
            self._leave(error)

    def _record(self, seconds: float, error: BaseException | None) -> None:
        if self._operation is None:
            return
        outcome = _outcome(error)
        span = self._operation.span
        span.set_attributes({catalogue.SUBJECT.key: str(self.subject), catalogue.OUTCOME.key: outcome})
        span.set_attribute(catalogue.RAG_DOCUMENTS.name, self.documents)
        # What failed before it came to a retrieval failed in what was to be one; an answer without one took none.
        retrieval = self.retrieval_seconds if self.retrieval_seconds is not None else seconds if error else 0.0
        claims = set(self._operation.claims)
        if "activity" not in claims:
            metrics_collector.track_student_activity(self.subject, self.topic)  # type: ignore[arg-type]  # None is "unknown"
        if "query" not in claims:
            generation = self.generation_seconds if error is None else 0.0
            metrics_collector.track_rag_query(self.subject, retrieval, self.documents, generation, outcome)


class Retrieval(_Step):
    """A search for passages; set `documents` to how many it found."""

    def __init__(self, question: Question, query: str, top_k: int) -> None:
        super().__init__()
        self.documents = 0
        self._question = question
        self._query = query
        self._top_k = top_k

    def _begin(self) -> Operation:
        attributes = retrieval_attributes(self._query, self._top_k)
        return Operation("rag.retrieval", attributes, role=RETRIEVAL, on_end=self._record)

    def _record(self, seconds: float, _: BaseException | None) -> None:
        self._question.documents += self.documents
        self._question.retrieval_seconds = (self._question.retrieval_seconds or 0.0) + seconds
        if self._operation is not None:
            self._operation.span.set_attribute(catalogue.RAG_DOCUMENTS.name, self.documents)


class Generation(_Step):
    """An answer being written by a model; set `input_tokens` and `output_tokens` as they become known."""

    def __init__(self, question: Question, model_name: str, quantization_type: str, input_tokens: int | None) -> None:
        super().__init__()
        self.input_tokens = input_tokens
        self.output_tokens: int | None = None
        self._question = question
        self._model = (model_name, quantization_type)
        self._call: Operation | None = None
        self._began_to_answer = False

    @overload
    def stream(self, pieces: AsyncIterable[T]) -> AsyncIterator[T]: ...
    @overload
    def stream(self, pieces: Iterable[T]) -> Iterator[T]: ...
    def stream(self, pieces: Any) -> Any:
        """The same pieces, observed: time to the first, and the end, whether it comes by itself or the client goes away.

        The model is asked from this moment on; iterate the result once, here or in the response that is returned.
        """
        self._question._streams += 1
        # A step begins inside the question, wherever its pieces are asked for.
        stream = AsyncStream if hasattr(pieces, "__aiter__") else Stream
        inner = aiter(pieces) if stream is AsyncStream else iter(pieces)
        observed: Any = stream(inner, lambda: _Streamed(self), self._piece)
        observed.start()
        return observed

    def _begin(self) -> Operation:
        attributes = {catalogue.RAG_DOCUMENTS.name: self._question.documents}
        generation = Operation("rag.generation", attributes, role=GENERATION, on_end=self._end_call)
        with generation.active():
            self._call = Operation(f"chat {self._model[0]}", model_attributes(*self._model), role=MODEL, on_end=self._record)
        return generation

    def __enter__(self) -> Self:
        super().__enter__()
        if self._call is not None:
            self._entered.enter_context(self._call.active())
        return self

    def _piece(self) -> None:
        if not self._began_to_answer and self._call is not None:
            self._began_to_answer = True
            labels = {catalogue.MODEL.key: bounded(catalogue.MODEL, self._model[0])}
            record(catalogue.FIRST_CHUNK, self._call.elapsed(), labels)
            self._call.span.add_event("first piece")

    def _end_call(self, seconds: float, error: BaseException | None) -> None:
        self._question.generation_seconds += seconds
        if self._call is not None:
            self._call.end(error)

    def _record(self, seconds: float, error: BaseException | None) -> None:
        if self._call is None:
            return
        for key, tokens in ((INPUT_TOKENS, self.input_tokens), (OUTPUT_TOKENS, self.output_tokens)):
            if tokens is not None:
                self._call.span.set_attribute(key, tokens)
        if "inference" not in self._call.claims:
            tokens_used = self.input_tokens, self.output_tokens
            metrics_collector.track_model_inference(*self._model, seconds, *tokens_used, _outcome(error))


class _Streamed:
    """A generation that runs as long as its stream."""

    def __init__(self, generation: Generation) -> None:
        self._generation = generation
        self._generation._operation = generation._begin()
        self._ended = False

    def active(self) -> Any:
        """In the context of the call to the model."""
        call = self._generation._call
        return call.active() if call is not None else ExitStack()

    def end(self, error: BaseException | None = None) -> None:
        """End the generation and tell the question."""
        if not self._ended:
            self._ended = True
            self._generation._leave(error)
            self._generation._question._stream_ended(error)
