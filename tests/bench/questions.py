"""A question with its steps, and single spans: by us, and by hand through opentelemetry-api."""

from collections.abc import Callable

from opentelemetry import trace
from opentelemetry.sdk import metrics as kinds

from tests.bench.comparison import whole_row
from tests.bench.instruments import MODEL, SUBJECTS, ByApi, of_questions
from tests.bench.processes import Effort, Variant, measure
from tests.bench.table import Row
from tests.bench.trial import Memory, Sink, Trial, ours, plain_sdk

__all__ = ["rows"]

QUESTIONS = 300  # of a round; four spans of each fit in a queue of the SDK
SPANS = 1000  # of a round
QUESTION = "Why is the sky blue?"


def rows(effort: Effort) -> list[Row]:
    """The rows of questions and spans."""
    names = ["question_ours", "question_api", "operation_ours", "function_ours", "span_api", "decorated_api"]
    times = measure([Variant(__name__, name) for name in names], effort)
    by_hand, span = "opentelemetry-api, the same spans and measurements", "tracer.start_as_current_span"
    return [
        whole_row("observe_question with its steps: 4 spans", by_hand, times, ("question_ours", "question_api"), 0.7),
        whole_row("trace_operation", f"with {span}", times, ("operation_ours", "span_api"), 1.0),
        whole_row("@trace_function", f"@{span}", times, ("function_ours", "decorated_api"), 1.0),
    ]


def question_ours() -> Trial:
    from otel_tutor.rag import observe_question

    def ask(subject: str) -> None:
        with observe_question(QUESTION, subject=subject, topic="optics") as question:
            with question.retrieval(top_k=5) as retrieval:
                retrieval.documents = 5
            with question.generation(*MODEL) as generation:
                generation.input_tokens, generation.output_tokens = 512, 64

    return _questions(ask, ours())


def question_api() -> Trial:
    from otel_tutor.pipeline.upstream import histogram_aggregation

    sink = plain_sdk({kinds.Histogram: histogram_aggregation()})
    tracer, api = trace.get_tracer("bench"), ByApi()
    name, quantization = MODEL
    of_question = {"rag.question.length": len(QUESTION), "rag.context.documents": 5}
    of_call = {"gen_ai.operation.name": "chat", "gen_ai.request.model": name, "quantization": quantization}
    usage = {"gen_ai.usage.input_tokens": 512, "gen_ai.usage.output_tokens": 64}

    def ask(subject: str) -> None:
        with tracer.start_as_current_span("rag.query", attributes={"tutor.subject": subject, **of_question}) as span:
            with tracer.start_as_current_span("rag.retrieval", attributes={"rag.retrieval.top_k": 5}) as retrieval:
                retrieval.set_attribute("rag.context.documents", 5)
            with (
                tracer.start_as_current_span("rag.generation", attributes={"rag.context.documents": 5}),
                tracer.start_as_current_span(f"chat {name}", attributes=of_call) as call,
            ):
                call.set_attributes(usage)
                api.call()
            api.query(subject)
            api.questions.add(1, {"tutor.subject": subject, "topic": "optics"})
            span.set_attribute("outcome", "success")

    return _questions(ask, sink)


def operation_ours() -> Trial:
    from otel_tutor.tracing import trace_operation

    def operate() -> None:
        with trace_operation("operation", {"component": "rag"}):
            pass

    return _spans(operate, ours())


def span_api() -> Trial:
    sink = plain_sdk()
    tracer = trace.get_tracer("bench")

    def operate() -> None:
        with tracer.start_as_current_span("operation", attributes={"component": "rag"}):
            pass

    return _spans(operate, sink)


def function_ours() -> Trial:
    from otel_tutor.tracing import trace_function

    @trace_function()
    def function() -> None:
        pass

    return _spans(function, ours())


def decorated_api() -> Trial:
    sink = plain_sdk()

    @trace.get_tracer("bench").start_as_current_span("function")
    def function() -> None:
        pass

    return _spans(function, sink)


def _questions(ask: Callable[[str], None], sink: Memory) -> Trial:
    def run() -> None:
        for number in range(QUESTIONS):
            ask(SUBJECTS[number % len(SUBJECTS)])

    expected = {
        "spans": 4 * QUESTIONS,
        **of_questions(QUESTIONS),
        "exemplars of rag.retrieval.duration": 1,
    }
    return Trial(run=run, each=QUESTIONS, sink=sink, expected=expected)


def _spans(operate: Callable[[], None], sink: Sink) -> Trial:
    def run() -> None:
        for _ in range(SPANS):
            operate()

    return Trial(run=run, each=SPANS, sink=sink, expected={"spans": SPANS})
