"""Which spans are recorded: those that are sampled, and calls to models, which are counted from their spans."""

from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import SpanKind

from otel_tutor.pipeline.genai import is_about_models, is_named_like_a_call

__all__ = ["CountingSampler"]


class CountingSampler(Sampler):
    """Records calls to models even where the trace is not sampled, and so not sent: they are counted from their spans.

    Tools and agents are recorded too, since what they ask is a call by itself.
    """

    def __init__(self, sampler: Sampler) -> None:
        self._sampler: Final = sampler

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Any = None,
        links: Any = None,
        trace_state: Any = None,
    ) -> SamplingResult:
        """What the sampler decides, but that a call to a model, a tool or an agent is recorded."""
        result = self._sampler.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)
        if result.decision is Decision.DROP and (is_about_models(attributes) or is_named_like_a_call(name)):
            return SamplingResult(Decision.RECORD_ONLY, attributes, result.trace_state)
        return result

    def get_description(self) -> str:
        """As of the sampler that decides."""
        return self._sampler.get_description()
