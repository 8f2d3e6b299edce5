"""An answer being written by a model: in a block, or piece by piece."""

from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from opentelemetry.trace import SpanKind

from otel_tutor import catalogue
from otel_tutor.prices import TOKEN_TYPES, Seller
from otel_tutor.rag.step import Step, set_count
from otel_tutor.recording import clock
from otel_tutor.recording.cost import COST, USAGE
from otel_tutor.recording.guard import attempt
from otel_tutor.recording.instruments import SUCCESS
from otel_tutor.recording.operation import GENERATION, MODEL, Operation
from otel_tutor.recording.outcome import CANCELLED
from otel_tutor.recording.question import record_chunk, record_finish, record_first_chunk, record_inference, record_usage
from otel_tutor.recording.state import state
from otel_tutor.recording.stream import EitherStream, stream_of
from otel_tutor.recording.tokenizer import StreamedText
from otel_tutor.recording.usage import finish_reason_of, tokens_of
from otel_tutor.recording.values import to_count, to_name, to_text
from otel_tutor.tracing import FINISH_REASONS, OPERATION, PROVIDER, chat_with, model_attributes

if TYPE_CHECKING:
    from otel_tutor.rag.question import Question

__all__ = ["Generation"]

T = TypeVar("T")


class Generation(Step):
    """An answer being written by a model; set the numbers of its tokens as they become known, or have `read` take them.

    Those of the cache are among the input, those of reasoning among the output: where a provider counts them apart, as
    Anthropic does, `read` adds them.
    finish_reason: why the model ended, in its provider's words or those of the conventions: stop, length, tool_call,
    content_filter.
    """

    _call: Operation

    def __init__(
        self,
        question: "Question",
        model_name: str,
        quantization_type: str,
        input_tokens: int | None,
        attributes: Mapping[str, object],
        tokenizer: object = None,
    ) -> None:
        self.input_tokens = input_tokens
        self.output_tokens: int | None = None
        self.cache_read_tokens: int | None = None
        self.cache_write_tokens: int | None = None
        self.reasoning_tokens: int | None = None
        self.finish_reason: str | None = None
        self._attributes = attributes  # of the span of the call
        self._tokenizer = tokenizer
        self._text: StreamedText | None = None
        self._question = question
        self._model = (model_name, quantization_type)
        self._last_piece: float | None = None
        self._first_chunk: float | None = None

    @overload
    def stream(self, pieces: AsyncIterable[T]) -> AsyncGenerator[T, None]: ...
    @overload
    def stream(self, pieces: Iterable[T]) -> Generator[T, None, None]: ...
    def stream(self, pieces: Any) -> Any:
        """The same pieces, observed: time to the first, and the end, whether it comes by itself or the client goes away.

        The model is asked from this moment on; iterate the result once, here or in the response that is returned. Closing
        it closes `pieces`.
        """
        self._question._streams += 1
        attempt(self._note_tokenizer, pieces)
        # A step begins inside the question, wherever its pieces are asked for.
        run = _Streamed(self)
        observed: Any = (attempt(stream_of, pieces) or EitherStream)(pieces, lambda: run, self._piece)
        observed.start()
        return observed

    def _begin(self) -> Operation:
        self._question._generations.begin()
        generation = Operation("rag.generation", {}, role=GENERATION, on_end=self._end_call)
        set_count(generation.span, catalogue.RAG_DOCUMENTS.name, self._question.documents)
        with generation.active():  # the call is a step inside it
            of_model = {key: value for key, value in model_attributes(*self._model).items() if key != OPERATION}
            kind = SpanKind.INTERNAL if self._attributes[PROVIDER] is None else SpanKind.CLIENT
            attributes = {**of_model, **self._attributes}
            self._call = Operation(chat_with(self._model[0]), attributes, role=MODEL, on_end=self._record, kind=kind)
        return generation

    def __enter__(self) -> Self:
        super().__enter__()
        self._enter(self._call.active())
        return self

    def read(self, response: object) -> None:
        """Take the numbers of tokens and the finish reason from a response of a model's client.

        It may be one of OpenAI, Anthropic, Google, Ollama or a library like them, an object or a mapping. `stream` does so
        with each piece.
        """
        attempt(self._read, response)

    def _read(self, response: object) -> None:
        for kind, number in tokens_of(response).items():
            before = to_count(getattr(self, f"{kind}_tokens")) or 0
            setattr(self, f"{kind}_tokens", max(before, number))  # the counts of a stream grow, and some start again at 0
        self.finish_reason = to_text(finish_reason_of(response)) or self.finish_reason

    def _note_tokenizer(self, pieces: object) -> None:
        # The streamers of transformers have that of their model.
        tokenizer = getattr(pieces, "tokenizer", None) if self._tokenizer is None else self._tokenizer
        if tokenizer is not None:
            self._text = StreamedText(tokenizer)

    def _piece(self, piece: object) -> None:
        if type(piece) is not str:
            self.read(piece)
        if self._text is not None:
            attempt(self._text.add, piece)
        now = clock.now()
        if self._last_piece is None:
            self._first_chunk = self._call.elapsed()
            attempt(self._call.span.add_event, "first piece")
        elif "call" not in self._call.recorded_by_app:
            record_chunk(self._model[0], now - self._last_piece)
        self._last_piece = now

    def _end_call(self, _: float, error: BaseException | None) -> None:
        self._question._generations.end(self._operation.outcome)
        self._call.end(error)

    def _record(self, seconds: float, _: BaseException | None) -> None:
        if self._first_chunk is not None and "first chunk" not in self._call.recorded_by_app:
            attempt(record_first_chunk, self._model[0], self._first_chunk)
        if self._call.outcome == CANCELLED and state.model_spans is not None:
            attempt(state.model_spans.reclaim, self._call)
        if self._text is not None and self.output_tokens is None and self._call.outcome == SUCCESS:
            self.output_tokens = attempt(self._text.count)  # of a stream that was left, no one knows what the model wrote
        tokens = {kind: getattr(self, f"{kind}_tokens") for kind in TOKEN_TYPES}
        attempt(self._record_usage, tokens)
        if "call" in self._call.recorded_by_app:  # the library's span is about the call
            attempt(self._call.span.update_name, f"call {to_name(self._model[0])}")
            return
        attempt(self._call.span.set_attribute, OPERATION, "chat")
        if "inference" not in self._call.recorded_by_app:
            provider = self._attributes[PROVIDER]
            seller = Seller(provider=None if provider is None else to_name(provider))
            cost = attempt(record_inference, *self._model, seconds, tokens, self._call.outcome, seller)
            if cost is not None:
                attempt(self._call.span.set_attribute, COST, cost)
            if self.finish_reason is not None:
                attempt(record_finish, self._model[0], self.finish_reason)
                attempt(self._call.span.set_attribute, FINISH_REASONS, [to_name(self.finish_reason)])
        for kind, number in tokens.items():
            set_count(self._call.span, USAGE[kind], number)

    def _record_usage(self, tokens: Mapping[str, object]) -> None:
        """Record the tokens that a library did not say of its call. Of several calls, no one knows whose they are."""
        calls = self._call.calls_without_tokens
        for model, seller in calls:
            record_usage(model, tokens if len(calls) == 1 else {}, SUCCESS, seller)


class _Streamed:
    """A generation that runs as long as its stream."""

    def __init__(self, generation: Generation) -> None:
        self._generation = generation
        self._generation._operation = generation._begin()
        if state.model_spans is not None:
            attempt(state.model_spans.adopt, generation._call, generation._question._operation.span)
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
