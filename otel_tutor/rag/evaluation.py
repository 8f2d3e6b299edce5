"""What is judged of an answer after it has been sent, joined to the question by its reference."""

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from otel_tutor.recording.evaluation import FEEDBACK, record_evaluation
from otel_tutor.recording.guard import never_raise
from otel_tutor.recording.operation import Attached
from otel_tutor.recording.origin import NONE
from otel_tutor.recording.values import to_text

__all__ = ["evaluate", "feedback", "reference_of"]

_HEADER = "traceparent"


@never_raise
def evaluate(
    reference: str,
    name: str,
    score: float | None = None,
    label: str | None = None,
    *,
    subject: str = NONE,
    explanation: str | None = None,
) -> None:
    """Record how good an answer was, in the trace of its question, from any process and at any time.

    reference: `question.reference`; the other arguments are those of `question.evaluate`. An evaluation whose reference is
    none is counted, outside of any trace.
    """
    carrier = {_HEADER: to_text(reference) or ""}
    inside = TraceContextTextMapPropagator().extract(carrier, Context())
    with Attached(inside):
        record_evaluation(name, score, label, explanation, subject)


def feedback(reference: str, score: float | None = None, label: str | None = None, *, subject: str = NONE) -> None:
    """Record what the one who asked thinks of an answer, as `evaluate` does."""
    evaluate(reference, FEEDBACK, score, label, subject=subject)


def reference_of(span: Span) -> str:
    """The span as W3C trace context writes it; empty where there is none."""
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier, trace.set_span_in_context(span, Context()))
    return carrier.get(_HEADER, "")
