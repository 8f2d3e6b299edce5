"""One call for a question and each of its steps: the span and the measurements together, however it ends.

    with observe_question(text, subject="physics") as question:
        with question.retrieval(top_k=5) as retrieval:
            passages = search(text)
            retrieval.documents = len(passages)
        with question.generation("llama-3", "q4") as generation:
            answer = write(text, passages)
            generation.output_tokens = count(answer)

A streamed answer is returned inside the block: `return StreamingResponse(question.generation(...).stream(pieces))`.
The question then ends with the last piece, or when the client goes away. Calls of `otel_tutor.monitoring` and
`otel_tutor.tracing` inside such a block replace what it would have recorded itself: nothing counts twice.
"""

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Final, Self, TypeVar, overload

from opentelemetry.trace import Span, SpanKind

from otel_tutor import catalogue
from otel_tutor.prices import TOKEN_TYPES, Seller
from otel_tutor.recording.cost import COST, USAGE
from otel_tutor.recording.guard import attempt
from otel_tutor.recording.operation import GENERATION, MODEL, QUESTION, RETRIEVAL, Operation
from otel_tutor.recording.overlap import Overlap
from otel_tutor.recording.question import (
    record_activity,
    record_first_chunk,
    record_generation,
    record_inference,
    record_query,
    record_retrieval,
)
from otel_tutor.recording.state import state
from otel_tutor.recording.stream import EitherStream, stream_of
from otel_tutor.recording.values import to_count, to_name
from otel_tutor.tracing import (
    OPERATION,
    PROVIDER,
    chat_with,
    model_attributes,
    question_attributes,
    retrieval_attributes,
)

__all__ = ["Generation", "Question", "Retrieval", "observe_question"]

T = TypeVar("T")


def observe_question(question: str, subject: str, topic: str | None = None) -> "Question":
    """Observe the answering of a question, in a `with` block, sync or async code alike."""
    return Question(question, subject, topic)


class _Step:
    """A `with` block around an operation that begins when it is entered."""

    _operation: Operation
    _entered: ExitStack

    def _begin(self) -> Operation:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._operation = self._begin()
        self._entered = ExitStack()
        self._entered.enter_context(self._operation.active())
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        self._entered.close()
        self._leave(error)

    def _leave(self, error: BaseException | None) -> None:
        self._operation.end(error)


class Question(_Step):
    """A question being answered. Subject, topic and number of documents can be set until it ends."""

    def __init__(self, question: str, subject: str, topic: str | None) -> None:
        self.subject = subject
        self.topic = topic
        self.documents = 0
        self._retrievals: Final = Overlap()
        self._generations: Final = Overlap()
        self._text: Final = question
        self._streams = 0  # given to the app and not at their end
        self._left = False

    @property
    def retrieval_seconds(self) -> float | None:
        """The time in which passages were searched for, or None without a search. Searches side by side take it once."""
        return self._retrievals.seconds()

    @property
    def generation_seconds(self) -> float:
        """The time in which answers were written; those that are written side by side take it once."""
        return self._generations.seconds() or 0.0

    def retrieval(self, top_k: int = 5) -> "Retrieval":
        """Observe the search for passages, in a `with` block; `top_k` is how many are asked for."""
        return Retrieval(self, self._text, top_k)

    def generation(
        self,
        model_name: str,
        quantization_type: str = "none",
        input_tokens: int | None = None,
        *,
        provider: str | None = None,
    ) -> "Generation":
        """Observe the writing of the answer by a model: in a `with` block, or as a stream.

        provider: who serves the model, e.g. "openai", as in `gen_ai.provider.name`; None for one in this process.
        """
        return Generation(self, model_name, quantization_type, input_tokens, provider)

    def _begin(self) -> Operation:
        attributes = question_attributes(self._text, self.subject)
        return Operation("rag.query", attributes, role=QUESTION, on_end=self._record, subject=lambda: self.subject)

    def _leave(self, error: BaseException | None) -> None:
        self._left = True
        if error is not None or not self._streams:
            super()._leave(error)

    def _stream_ended(self, error: BaseException | None) -> None:
        self._streams -= 1
        if self._left:
            self._leave(error)

    def _record(self, _: float, __: BaseException | None) -> None:
        outcome = self._operation.outcome
        if "activity" not in self._operation.recorded_by_app:
            attempt(record_activity, self.subject, self.topic)
        if "query" not in self._operation.recorded_by_app:
            attempt(record_query, self.subject, self.documents, outcome)
            # A step that was done took its time, whatever became of the question: a slow search may be why it timed out.
            if (retrieval := self._retrievals.latency(outcome)) is not None:
                attempt(record_retrieval, self.subject, retrieval)
            if (generation := self._generations.latency(outcome)) is not None:
                attempt(record_generation, self.subject, generation)
        span = self._operation.span
        attempt(span.set_attributes, {catalogue.OUTCOME.key: outcome, catalogue.SUBJECT.key: to_name(self.subject)})
        _set_count(span, catalogue.RAG_DOCUMENTS.name, self.documents)


class Retrieval(_Step):
    """A search for passages; set `documents` to how many it found."""

    def __init__(self, question: Question, query: str, top_k: int) -> None:
        self.documents = 0
        self._question = question
        self._query = query
        self._top_k = top_k

    def _begin(self) -> Operation:
        self._question._retrievals.begin()
        attributes = retrieval_attributes(self._query, self._top_k)
        return Operation("rag.retrieval", attributes, role=RETRIEVAL, on_end=self._record)

    def _record(self, _: float, __: BaseException | None) -> None:
        self._question._retrievals.end(self._operation.outcome)
        _set_count(self._operation.span, catalogue.RAG_DOCUMENTS.name, self.documents)
        before, found = to_count(self._question.documents), to_count(self.documents)
        self._question.documents = self.documents if before is None or found is None else int(before + found)


class Generation(_Step):
    """An answer being written by a model; set the numbers of its tokens as they become known.

    Those of the cache are among the input, those of reasoning among the output: where a provider counts them apart, as
    Anthropic does, add them.
    """

    _call: Operation

    def __init__(
        self,
        question: Question,
        model_name: str,
        quantization_type: str,
        input_tokens: int | None,
        provider: str | None,
    ) -> None:
        self.input_tokens = input_tokens
        self.output_tokens: int | None = None
        self.cache_read_tokens: int | None = None
        self.cache_write_tokens: int | None = None
        self.reasoning_tokens: int | None = None
        self._provider = provider
        self._question = question
        self._model = (model_name, quantization_type)
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
        run = _Streamed(self)
        observed: Any = (attempt(stream_of, pieces) or EitherStream)(pieces, lambda: run, self._piece)
        observed.start()
        return observed

    def _begin(self) -> Operation:
        self._question._generations.begin()
        generation = Operation("rag.generation", {}, role=GENERATION, on_end=self._end_call)
        _set_count(generation.span, catalogue.RAG_DOCUMENTS.name, self._question.documents)
        with generation.active():  # the call is a step inside it
            attributes = {key: value for key, value in model_attributes(*self._model).items() if key != OPERATION}
            kind = SpanKind.INTERNAL if self._provider is None else SpanKind.CLIENT
            self._call = Operation(chat_with(self._model[0]), attributes, role=MODEL, on_end=self._record, kind=kind)
            if self._provider is not None:
                attempt(self._call.span.set_attribute, PROVIDER, to_name(self._provider))
        return generation

    def __enter__(self) -> Self:
        super().__enter__()
        self._entered.enter_context(self._call.active())
        return self

    def _piece(self) -> None:
        if not self._began_to_answer:
            self._began_to_answer = True
            if "call" not in self._call.recorded_by_app:
                attempt(record_first_chunk, self._model[0], self._call.elapsed())
            attempt(self._call.span.add_event, "first piece")

    def _end_call(self, _: float, error: BaseException | None) -> None:
        self._question._generations.end(self._operation.outcome)
        self._call.end(error)

    def _record(self, seconds: float, _: BaseException | None) -> None:
        if "call" in self._call.recorded_by_app:  # the library's span is about the call
            attempt(self._call.span.update_name, f"call {to_name(self._model[0])}")
            return
        attempt(self._call.span.set_attribute, OPERATION, "chat")
        tokens = {kind: getattr(self, f"{kind}_tokens") for kind in TOKEN_TYPES}
        if "inference" not in self._call.recorded_by_app:
            seller = Seller(provider=None if self._provider is None else to_name(self._provider))
            cost = attempt(record_inference, *self._model, seconds, tokens, self._call.outcome, seller)
            if cost is not None:
                attempt(self._call.span.set_attribute, COST, cost)
        for kind, number in tokens.items():
            _set_count(self._call.span, USAGE[kind], number)


class _Streamed:
    """A generation that runs as long as its stream."""

    def __init__(self, generation: Generation) -> None:
        self._generation = generation
        self._generation._operation = generation._begin()
        if state.adopt_call is not None:
            attempt(state.adopt_call, generation._call, generation._question._operation.span)
        self._ended = False

    def active(self) -> Any:
        """In the context of the call to the model."""
        return self._generation._call.active()

    def end(self, error: BaseException | None = None) -> None:
        """End the generation, and the question if it waited for it."""
        if not self._ended:
            self._ended = True
            self._generation._leave(error)
            self._generation._question._stream_ended(error)


def _set_count(span: Span, key: str, number: object) -> None:
    """Set an attribute that counts something, as it is measured; without a number, none."""
    if (count := to_count(number)) is not None:
        attempt(span.set_attribute, key, count)
