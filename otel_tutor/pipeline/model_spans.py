"""Calls to models that other libraries trace: each is counted once, from its span, and what people wrote stays behind.

Several libraries may trace one call, one inside the other: the outermost span is the call. A block of `otel_tutor.rag`
around it leaves the counting to it. What is measured is the same as for calls by hand: a series has one meaning.
"""

import asyncio
import itertools
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary, WeakSet, WeakValueDictionary

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import NonRecordingSpan, SpanKind

from otel_tutor import catalogue
from otel_tutor.pipeline.changed_span import changed
from otel_tutor.pipeline.content import span_without_content
from otel_tutor.pipeline.genai import (
    INFERENCE,
    ModelCall,
    is_about_models,
    is_step,
    model_of,
    of_call,
    operation_of,
    read_call,
    without_call,
)
from otel_tutor.pipeline.signals import family_of
from otel_tutor.recording.content import captures_in_spans
from otel_tutor.recording.guard import attempt
from otel_tutor.recording.instruments import SUCCESS
from otel_tutor.recording.operation import MODEL, Attached, Operation
from otel_tutor.recording.origin import CONVERSATION
from otel_tutor.recording.question import (
    record_call,
    record_embeddings,
    record_finish,
    record_first_chunk,
    record_inference,
)
from otel_tutor.recording.state import state
from otel_tutor.recording.values import to_name

__all__ = ["ModelSpans"]

_OURS: Final = "otel_tutor"  # the scope of spans that need none of this
_REMEMBERED: Final = 100  # calls; one that repeats another ends right after it
_DEEPEST: Final = 20  # spans between a call and one around it


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counted:
    """A call that was counted, and where.

    place: its thread and task. above: the ids of the spans that it was in. is_asked_by_step: by a tool or an agent in them.
    """

    place: tuple[Any, ...] | None
    above: tuple[int, ...]
    is_asked_by_step: bool
    scope: Any
    began: int  # nanoseconds
    call: ModelCall


class ModelSpans(SpanProcessor):
    """Counts calls to models, and passes each span on to the processors that export it."""

    def __init__(self, processors: Sequence[SpanProcessor]) -> None:
        self._processors: Final = processors
        self._captures: Final = captures_in_spans()
        self._open: WeakValueDictionary[int, Span] = WeakValueDictionary()
        self._blocks: WeakKeyDictionary[Span, Operation] = WeakKeyDictionary()  # of `otel_tutor.rag` that a span is in
        self._reclaimed: WeakSet[Span] = WeakSet()  # whose call a block has counted
        self._contexts: WeakKeyDictionary[Span, Context] = WeakKeyDictionary()  # that each began in
        self._places: WeakKeyDictionary[Span, tuple[Any, ...]] = WeakKeyDictionary()  # the thread and the task
        self._counted: deque[_Counted] = deque(maxlen=_REMEMBERED)
        self._inside: WeakKeyDictionary[Span, dict[str, int]] = WeakKeyDictionary()  # tokens by spans of the same call

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Note the span, and what it is in."""
        if _is_ours(span):
            self.note_own(span)
        else:
            attempt(self._note, span, parent_context)

    def note_own(self, span: Any) -> None:
        """Note a span of this package: it may be between spans of libraries. A request is around them all."""
        if span.kind is not SpanKind.SERVER:
            self._open[span.context.span_id] = span

    def _note(self, span: Span, parent_context: Context | None) -> None:
        self._open[span.context.span_id] = span
        self._places[span] = (threading.get_ident(), _current_task())
        self._contexts[span] = context.get_current() if parent_context is None else parent_context
        conversation = context.get_value(CONVERSATION, parent_context)
        if conversation is not None and CONVERSATION not in (span.attributes or {}) and is_about_models(span.attributes):
            span.set_attribute(CONVERSATION, to_name(conversation))
        block = context.get_value(MODEL, parent_context)
        if isinstance(block, Operation):
            self._blocks[span] = block
            if operation_of(span.attributes) == INFERENCE:
                block.leave_to_library()

    def adopt(self, block: Operation, question: trace.Span) -> None:
        """Leave `block` to the last call that was begun in the question: a stream is passed on after its call has begun."""
        parent = question.get_span_context().span_id
        beside = [
            span
            for span in self._all_open()
            if span.parent is not None
            and span.parent.span_id == parent
            and span not in self._blocks
            and operation_of(span.attributes) == INFERENCE
        ]
        if beside:
            self._blocks[max(beside, key=lambda span: span.start_time or 0)] = block
            block.leave_to_library()

    def reclaim(self, block: Operation) -> None:
        """Have `block`, which was left, count its call if no library has: some never end the span of such a stream."""
        unended = [span for span, around in list(self._blocks.items()) if around is block]
        for span in unended:
            if span.end_time is None and operation_of(span.attributes) == INFERENCE:
                self._reclaimed.add(span)
                block.take_back()

    def on_end(self, span: ReadableSpan) -> None:
        """Count the call that it is about, if it is about one that is not counted yet, and pass it on."""
        if _is_ours(span):
            self.on_end_of_own(span)
            return
        span = attempt(self._account, span) or span
        bare = attempt(span_without_content, span, self._captures)
        if bare is not None:  # what may hold a student's text is not sent
            for processor in self._processors:
                processor.on_end(bare)

    def on_end_of_own(self, span: ReadableSpan) -> None:
        """Pass on a span of this package, whose calls are counted by hand."""
        if span.kind is not SpanKind.SERVER:
            self._open.pop(span.context.span_id, None)
        for processor in self._processors:
            processor.on_end(span)

    def _account(self, span: ReadableSpan) -> ReadableSpan:
        started = self._open.pop(span.context.span_id, None)
        call = read_call(span)
        if call is None or started is None:
            return span
        state.counted_scopes.add(family_of(span.instrumentation_scope))
        around = self._around(span, call.operation) or self._beside(started, call)
        if around is not None:
            self._inside.setdefault(around, {}).update({**call.tokens, **self._inside.pop(started, {})})
        if around is not None or started in self._reclaimed or self._repeats(started, call):
            return changed(span, attributes=without_call(span.attributes or {}))
        cost = self._count(span, call, started)
        name, attributes = of_call(span, call, cost)
        return changed(span, name=name, kind=SpanKind.CLIENT, attributes=attributes)

    def _around(self, span: ReadableSpan, operation: str) -> Span | None:
        """The outermost span that is about the same call."""
        theirs = (above for above in _up_to_step(self._above(span)) if not _is_ours(above))
        same = [above for above in theirs if operation_of(above.attributes) == operation]
        return same[-1] if same else None

    def _above(self, span: ReadableSpan) -> Iterator[Span]:
        """The open spans that it is in, the nearest first."""
        parent = span.parent
        for _ in range(_DEEPEST):
            above = self._open.get(parent.span_id) if parent else None
            if above is None:
                return
            yield above
            parent = above.parent

    def _all_open(self) -> list[Span]:
        """The spans that are open now; other threads may begin some meanwhile."""
        return [span for reference in self._open.valuerefs() if (span := reference()) is not None]

    def _beside(self, started: Span, call: ModelCall) -> Span | None:
        """The span of another library about the same call, where that library does not make its span the current one.

        It was begun earlier in the same thread and task, is still open, and has the same parent.
        """
        for other in self._all_open():
            if (
                self._places.get(other) == self._places.get(started)
                and other.parent == started.parent
                and (other.start_time or 0) < (started.start_time or 0)
                and other.instrumentation_scope != started.instrumentation_scope
                and operation_of(other.attributes) == call.operation
                and model_of(other.attributes or {}) in {call.model, ""}
            ):
                return other
        return None

    def _repeats(self, started: Span, call: ModelCall) -> bool:
        """Whether a call that was counted lies within this one, of a library that says only at the end what its span is."""
        within = [
            counted
            for counted in list(self._counted)
            if counted.began >= (started.start_time or 0)
            and counted.scope != started.instrumentation_scope
            and counted.call.operation == call.operation
        ]
        return any(
            started.context.span_id in counted.above
            or (
                counted.place == self._places.get(started)
                and not counted.is_asked_by_step
                and call.model in {counted.call.model, ""}
            )
            for counted in within
        )

    def _remember(self, started: Span, call: ModelCall) -> None:
        """Note that the call is counted, for spans about it that end later."""
        above = list(self._above(started))
        self._counted.append(
            _Counted(
                place=self._places.get(started),
                above=tuple(span.context.span_id for span in _up_to_step(above)),
                is_asked_by_step=any(is_step(span.attributes) for span in above),
                scope=started.instrumentation_scope,
                began=started.start_time or 0,
                call=call,
            )
        )

    def _count(self, span: ReadableSpan, call: ModelCall, started: Span) -> float | None:
        """Count the call; returns what it cost, if that is known."""
        self._remember(started, call)
        tokens = {**self._inside.pop(started, {}), **call.tokens}
        outcome = call.outcome
        block = self._blocks.pop(started, None)
        begun_in = self._contexts.get(started)
        # What is recorded points to this span, and is for the question and the request that it began in.
        with Attached(trace.set_span_in_context(NonRecordingSpan(span.context), begun_in)):
            if call.operation != INFERENCE:
                return record_embeddings(call.model, call.seconds, tokens.get("input"), outcome, call.seller)
            quantization = "none"
            for reason in call.finish_reasons:
                record_finish(call.model, reason)
            if call.first_chunk is not None:
                record_first_chunk(call.model, call.first_chunk)
            if block is None:
                state.note_counted(span.context.trace_id, call.model)
            else:
                block.leave_to_library()
                if call.first_chunk is not None:
                    block.recorded_by_app.add("first chunk")
                quantization = (getattr(block.span, "attributes", None) or {}).get(catalogue.QUANTIZATION.key, quantization)
                if not tokens and outcome == SUCCESS and not block.has_ended:  # the block may know them at its end
                    block.calls_without_tokens.append((call.model, call.seller))
                    record_call(call.model, quantization, call.seconds, outcome)
                    return None
            return record_inference(call.model, quantization, call.seconds, tokens, outcome, call.seller)

    def shutdown(self) -> None:
        """Send what is left and stop."""
        for processor in self._processors:
            processor.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what is held."""
        return all(processor.force_flush(timeout_millis) for processor in self._processors)


def _is_ours(span: ReadableSpan) -> bool:
    return span.instrumentation_scope is not None and span.instrumentation_scope.name == _OURS


def _up_to_step(spans: Iterable[Span]) -> Iterator[Span]:
    """Those before the next tool or agent: what that asks is a call by itself."""
    return itertools.takewhile(lambda span: not is_step(span.attributes), spans)


def _current_task() -> int | None:
    try:
        return id(asyncio.current_task())
    except RuntimeError:  # no event loop of asyncio's runs here
        return None
