"""The tracer of this package's own spans, which cost less than the SDK's as long as only our exporters see them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Decision, Sampler
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, TraceFlags

from otel_tutor.pipeline.model_spans import ModelSpans
from otel_tutor.pipeline.self_metrics import counts_every_span
from otel_tutor.pipeline.span import LightSpan
from otel_tutor.recording.state import state

__all__ = ["LightTracer", "OwnProvider"]

_SCOPE: Final = "otel_tutor"
_UNLIMITED: Final = 1000  # plain attributes of a span before the SDK's own container holds them, where no limit is set
_RANDOM: Final = getattr(TraceFlags, "RANDOM_TRACE_ID", 0)  # from 1.45 on


class OwnProvider(TracerProvider):
    """The SDK's provider, which also knows whether someone has added a processor to ours."""

    is_shared = False

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        """Have a processor get every span that begins from now on; it gets the SDK's own spans."""
        self.is_shared = True
        super().add_span_processor(span_processor)

    def add_own_processor(self, span_processor: SpanProcessor) -> None:
        """The same for ours, which take light spans as well."""
        super().add_span_processor(span_processor)


class LightTracer(trace.Tracer):
    """Makes light spans. It leaves them to the SDK where other processors see them, or where the SDK counts every span."""

    def __init__(self, provider: OwnProvider, model_spans: ModelSpans, limits: SpanLimits) -> None:
        self.provider: Final = provider
        self._sdk: Final = provider.get_tracer(_SCOPE)
        self._is_light: Final = not counts_every_span()
        self._note: Final = model_spans.note_own
        self.on_end: Final = model_spans.on_end_of_own
        self.scope: Final = InstrumentationScope(_SCOPE, "")
        self.limits: Final = limits
        self.count_limit: Final = _UNLIMITED if limits.max_span_attributes is None else limits.max_span_attributes
        self.length_limit: Final = limits.max_span_attribute_length
        self._flags: Final = _flags_of(provider)
        self._known: Final = provider.sampler
        self._samples_roots, self._samples_children = _always_samples(provider.sampler)

    @property
    def resource(self) -> Any:
        """What records its spans; another one in a forked child."""
        return self.provider.resource

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> trace.Span:
        """As the SDK's: a root where `context`, or else the current one, has no span."""
        if links or self.provider.is_shared or not self._is_light:
            return self._sdk.start_span(
                name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception
            )
        made, parent, attributes = self._sampled(name, context, kind, attributes)
        if attributes is None:
            return NonRecordingSpan(made)
        span = LightSpan(self, name, made, parent, kind, attributes, start_time or state.read_time_ns())
        self._note(span)
        return span

    def _sampled(
        self, name: str, context: Context | None, kind: SpanKind, attributes: Mapping[str, Any] | None
    ) -> tuple[SpanContext, SpanContext | None, Mapping[str, Any] | None]:
        """The ids of a new span, those of its parent, and its attributes, or None where it is not to be recorded."""
        ids, sampler = self.provider.id_generator, self.provider.sampler
        parent: SpanContext | None = None
        if context or context is None:  # an empty one has no span
            parent = trace.get_current_span(context).get_span_context()
        if parent is None or not parent.is_valid:
            parent, trace_id, flags, is_sampled = None, ids.generate_trace_id(), self._flags, self._samples_roots
        else:
            trace_id, flags = parent.trace_id, parent.trace_flags
            is_sampled = self._samples_children and parent.trace_flags.sampled
        if is_sampled and sampler is self._known:  # as it would say
            state_of_trace = None if parent is None else parent.trace_state
            return SpanContext(trace_id, ids.generate_span_id(), False, flags, state_of_trace), parent, attributes or {}
        result = sampler.should_sample(context, trace_id, name, kind, attributes)
        sampled = TraceFlags.SAMPLED if result.decision is Decision.RECORD_AND_SAMPLE else 0
        made = SpanContext(
            trace_id, ids.generate_span_id(), False, TraceFlags(flags & _RANDOM | sampled), result.trace_state
        )
        return made, parent, None if result.decision is Decision.DROP else result.attributes or {}

    def start_as_current_span(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Is the SDK's: nothing here needs it to cost less."""
        return self._sdk.start_as_current_span(name, *args, **kwargs)


def _flags_of(provider: TracerProvider) -> TraceFlags:
    """Those of the first span of a sampled trace."""
    is_random = getattr(provider.id_generator, "is_trace_id_random", bool)()
    return TraceFlags(TraceFlags.SAMPLED | (_RANDOM if is_random else 0))


def _always_samples(sampler: Sampler) -> tuple[bool, bool]:
    """Whether it samples every trace that begins here, and every span whose parent is sampled, as the default one does."""
    description = sampler.get_description()
    if description == ALWAYS_ON.get_description():
        return True, True
    parts = ("remoteParentSampled:AlwaysOnSampler,", "localParentSampled:AlwaysOnSampler,")
    return description.startswith("ParentBased{root:AlwaysOnSampler,"), all(part in description for part in parts)
