"""A call to a model that libraries trace is counted once, like calls by hand, and nothing of its text is sent."""

import json
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry._logs import LogRecord, get_logger
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision
from opentelemetry.trace import SpanKind

import otel_tutor
from otel_tutor.monitoring import metrics_collector
from otel_tutor.pipeline.model_spans import ModelSpans
from otel_tutor.pipeline.points import Metrics
from otel_tutor.pipeline.sampler import CountingSampler
from otel_tutor.rag import observe_question
from otel_tutor.recording.state import state
from otel_tutor.testing import Capture
from otel_tutor.tracing import trace_operation

SECRET = "my name is Ada"

Library = tuple[str, str, dict[str, Any], dict[str, Any]]

# How a call to a model looks: what its library sets at the start, and until the end.
OPENTELEMETRY: Library = (
    "opentelemetry.instrumentation.genai.openai",
    "chat gpt-x",
    {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-x"},
    {"gen_ai.usage.input_tokens": 120, "gen_ai.usage.output_tokens": 30, "gen_ai.response.model": "gpt-x-1"},
)
OPENLLMETRY: Library = (
    "opentelemetry.instrumentation.openai.v1",
    "openai.chat",
    {"llm.request.type": "chat"},
    {
        "gen_ai.system": "openai",
        "gen_ai.request.model": "gpt-x",
        "gen_ai.prompt.0.content": SECRET,
        "gen_ai.completion.0.content": SECRET,
        "traceloop.entity.input": SECRET,
        "gen_ai.usage.prompt_tokens": 120,
        "gen_ai.usage.completion_tokens": 30,
    },
)
OPENINFERENCE: Library = (
    "openinference.instrumentation.openai",
    "ChatCompletion",
    {"openinference.span.kind": "LLM", "llm.system": "openai", "input.value": SECRET},
    {
        "llm.invocation_parameters": json.dumps({"model": "gpt-x", "stop": SECRET}),
        "llm.model_name": "gpt-x-1",
        "llm.input_messages.0.message.content": SECRET,
        "llm.output_messages.0.message.content": SECRET,
        "output.value": SECRET,
        "llm.token_count.prompt": 120,
        "llm.token_count.completion": 30,
    },
)
OPENLIT: Library = (
    "openlit.instrumentation.openai",
    "chat gpt-x",
    {},
    {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-x",
        "gen_ai.input.messages": SECRET,
        "gen_ai.usage.input_tokens": 120,
        "gen_ai.usage.output_tokens": 30,
    },
)
LIBRARIES = pytest.mark.parametrize(
    "library",
    [OPENTELEMETRY, OPENLLMETRY, OPENINFERENCE, OPENLIT],
    ids=["opentelemetry", "openllmetry", "openinference", "openlit"],
)


@contextmanager
def traced_by(*libraries: Library) -> Iterator[None]:
    """A call to a model in a span of each library, the first of them outermost."""
    if not libraries:
        yield
        return
    (scope, name, start, rest), *inner = libraries
    with trace.get_tracer(scope).start_as_current_span(name, kind=SpanKind.CLIENT, attributes=start) as span:
        with traced_by(*inner):
            yield
        span.set_attributes(rest)


def calls(captured: Capture, **labels: str) -> float:
    return captured.value("model_inference_total", model_name="gpt-x", **labels)


def assert_tokens_of_one_call(captured: Capture) -> None:
    assert captured.sum("model_token_count", model_name="gpt-x", type="input") == 120
    assert captured.sum("model_token_count", model_name="gpt-x", type="output") == 30


@LIBRARIES
def test_a_call_is_counted_whichever_library_traces_it(captured: Capture, library: Library) -> None:
    with traced_by(library):
        pass

    assert calls(captured, status="success") == calls(captured) == 1
    assert captured.count("model_inference_duration_seconds") == 1
    assert_tokens_of_one_call(captured)
    (span,) = captured.spans
    assert (span.name, span.kind) == ("chat gpt-x", SpanKind.CLIENT)
    attributes = dict(span.attributes or {})
    assert attributes["gen_ai.operation.name"] == "chat"
    assert attributes.get("gen_ai.provider.name") == "openai"
    assert attributes["gen_ai.usage.input_tokens"] == 120


@LIBRARIES
def test_a_call_in_a_block_by_hand_is_counted_by_its_library(captured: Capture, library: Library) -> None:
    with observe_question(SECRET, "physics") as question, question.generation("gpt-x", "q4") as generation:
        with traced_by(library):
            generation.output_tokens = 30
        metrics_collector.track_model_inference("gpt-x", "q4", 0.1, 120, 30, "success")

    assert calls(captured, quantization_type="q4") == calls(captured) == 1
    assert_tokens_of_one_call(captured)
    spans = [span for span in captured.spans if (span.attributes or {}).get("gen_ai.operation.name") == "chat"]
    assert [span.name for span in spans] == ["chat gpt-x"]
    assert captured.count("rag_generation_duration_seconds", subject="physics") == 1


def test_each_call_of_an_agent_in_one_block_is_counted(captured: Capture) -> None:
    agent: Library = ("langchain", "invoke_agent tutor", {"gen_ai.operation.name": "invoke_agent"}, {})
    with observe_question("why?", "physics") as question, question.generation("gpt-x"), traced_by(agent):
        for _ in range(2):
            with traced_by(OPENTELEMETRY):
                pass

    assert calls(captured) == 2


def test_several_libraries_around_one_call_count_it_once(captured: Capture) -> None:
    with traced_by(OPENINFERENCE, OPENLLMETRY, OPENTELEMETRY):
        pass

    assert calls(captured) == 1
    assert_tokens_of_one_call(captured)
    assert [span.name for span in captured.spans if "gen_ai.operation.name" in (span.attributes or {})] == ["chat gpt-x"]


def test_libraries_that_do_not_nest_their_spans_count_a_call_once(captured: Capture) -> None:
    outer = trace.get_tracer(OPENLLMETRY[0]).start_span("anthropic.chat", attributes=OPENLLMETRY[2])
    with traced_by(OPENTELEMETRY):
        pass
    outer.set_attributes(OPENLLMETRY[3])
    outer.end()
    with traced_by(OPENTELEMETRY):  # another call
        pass

    assert calls(captured) == 2


def test_the_tokens_of_a_span_inside_are_those_of_the_call(captured: Capture) -> None:
    around: Library = ("langchain", "chat gpt-x", {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-x"}, {})
    with traced_by(around, OPENTELEMETRY):
        pass

    assert calls(captured) == 1
    assert_tokens_of_one_call(captured)


def test_what_a_tool_asks_inside_a_call_is_a_call_by_itself(captured: Capture) -> None:
    tool: Library = ("langchain", "execute_tool search", {"gen_ai.operation.name": "execute_tool"}, {})
    with traced_by(OPENTELEMETRY, tool, OPENLLMETRY):
        pass

    assert calls(captured) == 2


TOOL: Library = ("langchain", "execute_tool search", {"gen_ai.operation.name": "execute_tool"}, {})


@pytest.mark.parametrize(("around", "number"), [((OPENTELEMETRY,), 1), ((OPENTELEMETRY, TOOL), 2)], ids=["call", "tool"])
def test_a_span_by_hand_between_those_of_libraries_changes_no_count(
    captured: Capture, around: tuple[Library, ...], number: int
) -> None:
    with traced_by(*around), trace_operation("mine"), traced_by(OPENLLMETRY):
        pass

    assert calls(captured) == number


def test_what_a_tool_asks_is_counted_where_the_trace_is_not_sampled(captured: Capture) -> None:
    provider = TracerProvider(CountingSampler(ALWAYS_OFF))
    provider.add_span_processor(ModelSpans([]))
    with ExitStack() as spans:
        for scope, name, start, rest in (OPENTELEMETRY, TOOL, OPENLLMETRY):
            span = provider.get_tracer(scope).start_as_current_span(name, attributes={**start, **rest})
            spans.enter_context(span)

    assert calls(captured) == 2


def test_calls_that_threads_note_at_once_are_all_noted(captured: Capture) -> None:
    def note() -> None:
        for _ in range(10_000):
            state.note_counted(1, "gpt-x")

    threads = [threading.Thread(target=note) for _ in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # many chances for one to come between the steps of another
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)

    taken = sum(state.take_counted(1, "gpt-x") for _ in range(50_000))
    assert taken == 40_000


def test_parameters_that_were_cut_are_no_failure(captured: Capture, caplog: pytest.LogCaptureFixture) -> None:
    scope, name, start, rest = OPENINFERENCE
    cut = {**rest, "llm.invocation_parameters": '{"model": "gp', "llm.model_name": "gpt-x"}
    with traced_by((scope, name, start, cut)):
        pass

    assert calls(captured) == 1
    assert "was not recorded" not in caplog.text


def test_a_call_that_fails_is_an_error_and_no_latency(captured: Capture) -> None:
    with pytest.raises(TimeoutError), observe_question("why?", "physics"), traced_by(OPENINFERENCE):
        raise TimeoutError

    assert captured.value("model_inference_total", status="error") == 1
    assert captured.count("model_inference_duration_seconds") == 0
    (call,) = [span for span in captured.spans if "gen_ai.operation.name" in (span.attributes or {})]
    assert (call.attributes or {})["error.type"] == "TimeoutError"


def test_a_stream_that_begins_before_its_block_is_counted_once(captured: Capture) -> None:
    def pieces(span: trace.Span) -> Iterator[str]:
        yield from ("because", "of", "waves")
        span.set_attributes(OPENTELEMETRY[3])
        span.end()

    with observe_question("why?", "physics") as question:
        span = trace.get_tracer(OPENTELEMETRY[0]).start_span("chat gpt-x", attributes=OPENTELEMETRY[2])
        assert list(question.generation("gpt-x").stream(pieces(span))) == ["because", "of", "waves"]

    assert calls(captured) == 1
    assert_tokens_of_one_call(captured)


def test_a_stream_that_is_left_is_counted_by_its_block_if_its_library_does_not_end_it(captured: Capture) -> None:
    with observe_question("why?", "physics") as question:
        span = trace.get_tracer(OPENTELEMETRY[0]).start_span("chat gpt-x", attributes=OPENTELEMETRY[2])
        stream = question.generation("gpt-x").stream(iter(["because", "of", "waves"]))
        next(stream)
        stream.close()
    assert calls(captured, status="cancelled") == calls(captured) == 1

    span.end()  # later, as the client's stream is collected
    assert calls(captured) == 1


def test_tokens_that_a_library_does_not_say_are_those_of_its_block(captured: Capture) -> None:
    with observe_question("why?", "physics") as question, question.generation("gpt-x") as generation:
        with traced_by((*OPENTELEMETRY[:3], {})):
            pass
        generation.input_tokens, generation.output_tokens = 120, 30

    assert calls(captured) == 1
    assert_tokens_of_one_call(captured)


def test_whose_the_tokens_of_a_block_are_is_not_guessed(captured: Capture) -> None:
    with observe_question("why?", "physics") as question, question.generation("gpt-x") as generation:
        for _ in range(2):
            with traced_by((*OPENTELEMETRY[:3], {})):
                pass
        generation.input_tokens, generation.output_tokens = 120, 30

    assert calls(captured) == 2
    assert captured.count("model_token_count") == 0


def test_a_call_that_is_recorded_by_hand_as_well_counts_once(captured: Capture) -> None:
    with trace_operation("lesson"):
        with traced_by(OPENTELEMETRY):
            pass
        metrics_collector.track_model_inference("gpt-x", "none", 0.1, 120, 30, "success")
        metrics_collector.track_model_inference("gpt-x", "none", 0.1, 120, 30, "success")

    assert calls(captured) == 2  # the second has no span


def test_embeddings_are_no_inference(captured: Capture) -> None:
    attributes = {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "emb-x"}
    with traced_by(("library", "embeddings emb-x", attributes, {"gen_ai.usage.input_tokens": 7})):
        pass

    assert captured.value("model_inference_total") == 0
    assert captured.count("model_embeddings_duration_seconds", model_name="emb-x", status="success") == 1
    assert captured.sum("model_token_count", model_name="emb-x", type="input") == 7


def test_other_spans_are_passed_on_as_they_are(captured: Capture) -> None:
    with trace.get_tracer("httpx").start_as_current_span("GET", attributes={"http.request.method": "GET"}):
        pass

    assert [(span.name, dict(span.attributes or {})) for span in captured.spans] == [("GET", {"http.request.method": "GET"})]
    assert captured.value("model_inference_total") == 0


@LIBRARIES
def test_what_people_wrote_is_not_sent(captured: Capture, library: Library) -> None:
    with traced_by(library):
        trace.get_current_span().add_event("gen_ai.content.prompt", {"gen_ai.prompt": SECRET})
        record = LogRecord(event_name="gen_ai.user.message", body={"content": SECRET}, attributes={"gen_ai.prompt": SECRET})
        get_logger("library").emit(record)

    assert SECRET not in "".join(span.to_json() for span in captured.spans)
    (event,) = captured.logs
    assert SECRET not in str(event.log_record)
    assert (event.log_record.body, (event.log_record.attributes or {})["event.name"]) == ("gen_ai.user.message",) * 2


def test_an_ordinary_line_of_log_keeps_its_body(captured: Capture) -> None:
    logging.getLogger("app").warning("done", extra={"event.name": "lesson"})

    assert [record.log_record.body for record in captured.logs] == ["done"]


@LIBRARIES
def test_a_call_in_a_trace_that_is_not_sampled_is_recorded_to_be_counted(library: Library) -> None:
    scope, name, start, _ = library
    sampler = CountingSampler(ALWAYS_OFF)
    decisions = [
        sampler.should_sample(None, 1, name, attributes=start).decision,
        sampler.should_sample(None, 1, "GET", attributes={"http.request.method": "GET"}).decision,
    ]
    span = TracerProvider(sampler).get_tracer(scope).start_span(name, attributes=start)

    assert decisions == [Decision.RECORD_ONLY, Decision.DROP]
    assert (span.is_recording(), span.get_span_context().trace_flags.sampled) == (True, False)


def test_what_an_app_measures_of_its_models_by_itself_is_exported() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    for scope in ("my_app", "openlit.otel.metrics"):
        provider.get_meter(scope).create_histogram("gen_ai.client.token.usage").record(7)
    state.counted_scopes.add("openlit")
    data = reader.get_metrics_data()

    assert data is not None
    assert [family.scope.scope.name for family, _ in Metrics(100).split(data)] == ["my_app"]


PRICES = {"currency": "EUR", "models": {"*": {"input": 1, "output": 2}}}
DETAILS: dict[str, dict[str, Any]] = {
    "opentelemetry": {
        "gen_ai.usage.cache_read.input_tokens": 100,
        "gen_ai.usage.cache_creation.input_tokens": 5,
        "gen_ai.usage.reasoning.output_tokens": 12,
        "gen_ai.response.finish_reasons": ("length",),
        "gen_ai.response.time_to_first_chunk": 0.25,
    },
    "openllmetry": {
        "gen_ai.usage.cache_read_input_tokens": 100,
        "gen_ai.usage.cache_creation_input_tokens": 5,
        "gen_ai.usage.reasoning_tokens": 12,
        "gen_ai.completion.0.finish_reason": "length",
        "gen_ai.response.time_to_first_chunk": 0.25,
    },
    "openinference": {
        "llm.token_count.prompt_details.cache_read": 100,
        "llm.token_count.prompt_details.cache_write": 5,
        "llm.token_count.completion_details.reasoning": 12,
        "llm.finish_reason": "length",
        "gen_ai.response.time_to_first_chunk": 0.25,
    },
}


@pytest.mark.parametrize("conventions", DETAILS)
def test_what_a_library_says_beyond_the_two_sums_is_counted(captured: Capture, conventions: str) -> None:
    scope, name, start, rest = OPENTELEMETRY
    with traced_by((scope, name, start, {**rest, **DETAILS[conventions]})):
        pass

    tokens = {kind: captured.value("model_tokens_total", type=kind) for kind in ("input", "cache_read", "cache_write")}
    assert tokens == {"input": 120, "cache_read": 100, "cache_write": 5}
    assert captured.value("model_tokens_total", type="reasoning") == 12
    assert captured.value("model_finish_reasons_total", model_name="gpt-x", finish_reason="length") == 1
    assert captured.sum("gen_ai_client_operation_time_to_first_chunk_seconds", model_name="gpt-x") == 0.25


@LIBRARIES
def test_a_call_that_a_library_traces_has_its_cost(captured: Capture, library: Library) -> None:
    otel_tutor.configure(prices=PRICES)
    with observe_question("Why?", "physics"), traced_by(library):
        pass

    assert captured.value("model_cost_total", subject="physics", model_name="gpt-x") == pytest.approx(180 / 1e6)
    (call,) = [span for span in captured.spans if span.name == "chat gpt-x"]
    assert (call.attributes or {})["gen_ai.usage.cost"] == pytest.approx(180 / 1e6)


def test_a_cost_that_a_library_guesses_is_not_passed_on(captured: Capture) -> None:
    scope, name, start, rest = OPENLIT
    with traced_by((scope, name, start, {**rest, "gen_ai.usage.cost": 0})):
        pass

    (call,) = captured.spans
    assert "gen_ai.usage.cost" not in (call.attributes or {})


def test_embeddings_cost_by_what_they_read(captured: Capture) -> None:
    otel_tutor.configure(prices=PRICES)
    start = {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "emb-x"}
    with traced_by(
        ("opentelemetry.instrumentation.genai.openai", "embeddings emb-x", start, {"gen_ai.usage.input_tokens": 7})
    ):
        pass

    assert captured.value("model_cost_total", model_name="emb-x") == pytest.approx(7 / 1e6)
    assert captured.value("model_cost_unknown_total") == 0


@LIBRARIES
def test_calls_of_libraries_are_of_their_conversation(captured: Capture, library: Library) -> None:
    scope, name, start, rest = library
    with observe_question("Why?", "physics", conversation_id="c-1"), traced_by((scope, name, {**start, **rest}, {})):
        pass

    (call,) = [span for span in captured.spans if span.name == "chat gpt-x"]
    assert (call.attributes or {})["gen_ai.conversation.id"] == "c-1"


def begun_by(scope: str, **attributes: Any) -> trace.Span:
    """A span that its library does not make the current one."""
    return trace.get_tracer(scope).start_span("a call", attributes=attributes)


@pytest.mark.parametrize("is_current", [True, False], ids=["the current span", "beside"])
def test_a_library_that_says_only_at_the_end_what_its_span_is_counts_nothing_again(
    captured: Capture, is_current: bool
) -> None:
    late = begun_by("openinference.instrumentation.langchain")
    with trace.use_span(late) if is_current else nullcontext(), traced_by(OPENTELEMETRY):
        pass
    late.set_attributes({"openinference.span.kind": "LLM", "llm.model_name": "gpt-x", "llm.token_count.prompt": 120})
    late.end()

    assert calls(captured) == 1
    assert_tokens_of_one_call(captured)


def test_a_call_before_or_after_another_one_is_a_call(captured: Capture) -> None:
    for library in (OPENTELEMETRY, OPENINFERENCE, OPENTELEMETRY):
        with traced_by(library):
            pass

    assert calls(captured) == 3


@pytest.mark.parametrize("error", ["GeneratorExit", "asyncio.exceptions.CancelledError"])
def test_a_stream_that_is_left_is_cancelled_whatever_its_library_calls_that(captured: Capture, error: str) -> None:
    scope, name, start, rest = OPENTELEMETRY
    with traced_by((scope, name, start, {**rest, "error.type": error})):
        pass

    assert calls(captured, status="cancelled") == calls(captured) == 1
