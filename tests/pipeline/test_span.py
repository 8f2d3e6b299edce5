"""A light span is exported as the SDK's own span would be, whatever is recorded in it, and gives way to it where it must."""

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, DEFAULT_ON, ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from otel_tutor.pipeline.encoding import encode_light
from otel_tutor.pipeline.model_spans import ModelSpans
from otel_tutor.pipeline.sampler import CountingSampler
from otel_tutor.pipeline.signals import Spans
from otel_tutor.pipeline.span import LightSpan
from otel_tutor.pipeline.tracer import LightTracer, OwnProvider
from otel_tutor.testing import _CountingIds

LIMITS = SpanLimits(
    max_span_attributes=6,
    max_events=2,
    max_links=2,
    max_attribute_length=8,
    max_span_attribute_length=12,
    max_event_attributes=4,
)
RESOURCE = Resource({"service.name": "tutor"})
OTHER = SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED), trace_state=TraceState([("k", "v")]))


def fail(span: trace.Span) -> None:
    try:
        raise KeyError("missing")
    except KeyError as error:
        span.record_exception(error, {"more": 1}, timestamp=3)


def leave_failing(span: trace.Span) -> None:
    try:
        with trace.use_span(span, record_exception=False, set_status_on_exception=False), span:
            raise ValueError("no")
    except ValueError:
        pass


RECORDED: dict[str, Callable[[Any], object]] = {
    "nothing": lambda _: None,
    "plain attributes": lambda span: span.set_attributes({"a": 1, "b": "text", "c": 1.5, "d": True}),
    "one again": lambda span: (span.set_attribute("a", 1), span.set_attribute("a", 2)),
    "a long text": lambda span: span.set_attribute("a", "x" * 100),
    "a list, a long one, a map": lambda span: span.set_attributes({"a": [1, 2], "b": ["y" * 100], "c": {"d": "z" * 100}}),
    "None, an object": lambda span: span.set_attributes({"a": None, "b": ValueError("of no type that is sent")}),
    "keys that are none": lambda span: (span.set_attribute("", 1), span.set_attribute(3, 1)),
    "too many attributes": lambda span: [span.set_attribute(f"key {number}", number) for number in range(20)],
    "too many at once": lambda span: span.set_attributes({f"key {number}": number for number in range(20)}),
    "many after a list": lambda span: (span.set_attribute("a", [1]), span.set_attributes({"b": "x" * 100, "c": 2})),
    "another name": lambda span: span.update_name("other"),
    "events": lambda span: [span.add_event(f"event {n}", {"a": "x" * 100, "b": 1, "c": 2}, 5) for n in range(4)],
    "links": lambda span: [span.add_link(context, {"a": 1}) for context in [OTHER] * 4],
    "a link to nothing": lambda span: span.add_link(trace.INVALID_SPAN_CONTEXT),
    "an exception": fail,
    "an error": lambda span: span.set_status(StatusCode.ERROR, "why"),
    "ok is final": lambda span: (span.set_status(StatusCode.OK), span.set_status(StatusCode.ERROR, "why")),
    "unset changes nothing": lambda span: (span.set_status(Status(StatusCode.ERROR)), span.set_status(StatusCode.UNSET)),
    "after the end": lambda span: (
        span.end(9),
        span.set_attribute("a", 1),
        span.add_event("late"),
        span.add_link(OTHER),
        span.update_name("late"),
        span.set_status(StatusCode.ERROR),
        span.end(10),
    ),
}
STARTED: dict[str, dict[str, Any]] = {
    "a root": {},
    "with attributes": {"attributes": {"a": 1, "b": "x" * 100}, "kind": SpanKind.SERVER},
    "with a list": {"attributes": {"a": [1, 2]}},
    "with too many": {"attributes": {f"key {number}": number for number in range(20)}},
    "below another": {"context": trace.set_span_in_context(NonRecordingSpan(OTHER), Context())},
    "with links": {"links": [Link(OTHER, {"a": 1})]},
}
SAMPLERS: dict[str, Sampler] = {
    "default": DEFAULT_ON,
    "on": ALWAYS_ON,
    "off": ALWAYS_OFF,
    "none": TraceIdRatioBased(0.0),
    "by parent": ParentBased(ALWAYS_OFF),
    "counting": CountingSampler(DEFAULT_ON),
}


@contextmanager
def tracers(sampler: Sampler = DEFAULT_ON) -> Iterator[tuple[trace.Tracer, LightTracer, list[ReadableSpan]]]:
    """The SDK's tracer and ours, with the same ids, and what they export."""
    exporter = InMemorySpanExporter()
    options: Any = {"resource": RESOURCE, "shutdown_on_exit": False, "span_limits": LIMITS, "sampler": sampler}
    sdk = TracerProvider(id_generator=_CountingIds(), **options)
    sdk.add_span_processor(SimpleSpanProcessor(exporter))
    own = OwnProvider(id_generator=_CountingIds(), **options)
    model_spans = ModelSpans([SimpleSpanProcessor(exporter)])
    own.add_own_processor(model_spans)
    exported: list[ReadableSpan] = []
    yield sdk.get_tracer("otel_tutor"), LightTracer(own, model_spans, LIMITS), exported
    exported += exporter.get_finished_spans()
    own.shutdown()
    sdk.shutdown()


def encoded(span: ReadableSpan) -> str:
    return str(encode_spans([span])).partition("stacktrace")[0]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("started", STARTED)
@pytest.mark.parametrize("recorded", RECORDED)
def test_it_is_exported_as_the_span_of_the_sdk(started: str, recorded: str) -> None:
    with tracers() as (sdk, light, exported):
        for tracer in (sdk, light):
            span = tracer.start_span("name", start_time=1, **STARTED[started])
            RECORDED[recorded](span)
            if span.is_recording():
                span.end(9)

    of_sdk, of_light = exported
    assert isinstance(of_light, LightSpan) or "links" in STARTED[started]
    assert encoded(of_light) == encoded(of_sdk)
    assert str(Spans(100).encode([of_light])).partition("stacktrace")[0] == encoded(of_sdk)
    assert of_light.to_json() == of_sdk.to_json() or "exception" in recorded


def test_a_batch_is_encoded_as_by_the_sdk_and_only_what_is_rare_is_left_to_it() -> None:
    values: list[Any] = [True, 1, 1.0, 0.0, -0.0, "", "1", "é", "x" * 10, False, 0, 2**62, -1, "x" * 300, float("nan")]
    names = [f"name {number % 3}" for number in range(len(values))]
    with tracers() as (sdk, light, exported):
        for tracer in (sdk, light):
            for name, value in zip(names, values, strict=True):
                tracer.start_span(name, start_time=1, attributes={"value": value}).end(9)
        for tracer in (sdk, light):
            tracer.start_span("rare", start_time=1, attributes={"value": [1]}).end(9)
    half = len(values)
    of_sdk, of_light, (rare_of_sdk, rare) = exported[:half], exported[half:-2], exported[-2:]

    assert [span.name for span in encode_light([*of_light, rare])[1]] == [names[13], "rare"]  # the long text is cut
    assert str(Spans(100).encode(of_light[:13])) == str(encode_spans(of_sdk[:13]))
    assert {str(one) for one in spans_of(Spans(100).encode([*of_light, rare]))} == {
        str(one) for one in spans_of(encode_spans([*of_sdk, rare_of_sdk]))
    }


def spans_of(request: Any) -> list[Any]:
    return [span for of_resource in request.resource_spans for scope in of_resource.scope_spans for span in scope.spans]


@pytest.mark.parametrize("started", STARTED)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_its_ids_and_flags_are_those_of_the_sdk(sampler: str, started: str) -> None:
    with tracers(SAMPLERS[sampler]) as (sdk, light, _):
        made, expected = (tracer.start_span("name", **STARTED[started]) for tracer in (light, sdk))
        inside, expected_inside = (
            tracer.start_span("inside", trace.set_span_in_context(span, Context()))
            for tracer, span in ((light, made), (sdk, expected))
        )

    for one, other in ((made, expected), (inside, expected_inside)):
        assert one.get_span_context() == other.get_span_context()
        assert one.get_span_context().trace_state == other.get_span_context().trace_state
        assert one.is_recording() == other.is_recording()


def test_a_block_that_fails_fails_its_span() -> None:
    with tracers() as (sdk, light, exported):
        for tracer in (sdk, light):
            leave_failing(tracer.start_span("name", start_time=1))

    for span in exported:
        assert span.status.status_code is StatusCode.ERROR
        assert span.status.description == "ValueError: no"
        (event,) = span.events
        assert (event.name, (event.attributes or {})["exception.message"]) == ("exception", "no")


def test_a_processor_that_the_app_adds_gets_spans_of_the_sdk() -> None:
    theirs = InMemorySpanExporter()
    with tracers() as (_, light, exported):
        light.provider.add_span_processor(SimpleSpanProcessor(theirs))
        light.start_span("name").end()

    assert [type(span) for span in exported] == [ReadableSpan]
    assert [span.name for span in theirs.get_finished_spans()] == ["name"]


def test_where_the_sdk_counts_every_span_it_makes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")
    with tracers() as (_, light, _):
        assert isinstance(light.start_span("name"), Span)


def test_what_comes_too_late_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with tracers() as (_, light, _), caplog.at_level(logging.WARNING, "opentelemetry.sdk.trace"):
        span = light.start_span("name")
        span.end()
        span.set_attribute("a", 1)

    assert set(caplog.messages) == {"Setting attribute on ended span."}


def test_threads_that_record_at_once_lose_nothing() -> None:
    with tracers() as (_, light, exported):
        span = light.start_span("name")
        threads = [threading.Thread(target=span.set_attribute, args=(f"key {n}", [n] if n == 2 else n)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        span.end()

    assert set(exported[0].attributes or {}) == {f"key {number}" for number in range(6)}


def test_a_signal_handler_may_record_in_the_span_that_it_interrupts() -> None:
    with tracers() as (_, light, exported):
        span = light.start_span("name")

        class Interrupting(dict[str, Any]):
            def items(self) -> Any:  # is asked for while the span is held
                signal.raise_signal(signal.SIGUSR1)
                return super().items()

        before = signal.signal(signal.SIGUSR1, lambda *_: span.set_attribute("from the handler", 1))
        try:
            span.set_attributes(Interrupting(a=[1]))
        finally:
            signal.signal(signal.SIGUSR1, before)
        span.end()

    assert (exported[0].attributes or {})["from the handler"] == 1
