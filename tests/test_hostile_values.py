"""A value that nothing can be asked of is lost alone: the app gets its own exceptions, and the rest is recorded."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from otel_tutor import ConfigurationError
from otel_tutor.health import DiskCheck, HealthService, health_routes
from otel_tutor.instrumentation.database import observe_engine
from otel_tutor.instrumentation.installed import choose
from otel_tutor.monitoring import metrics_collector, track_time
from otel_tutor.pipeline.signals import Spans
from otel_tutor.prices import Prices
from otel_tutor.rag import observe_question
from otel_tutor.recording.attributes import to_attributes
from otel_tutor.recording.state import state
from otel_tutor.recording.stream import stream_of
from otel_tutor.recording.values import to_number, to_text
from otel_tutor.settings import Settings
from otel_tutor.testing import Capture
from otel_tutor.tracing import trace_operation
from tests.support.hostile import Hostile, Text


class PanicException(BaseException):
    """Of an extension in Rust."""


class Panicking:
    def __str__(self) -> str:
        raise PanicException("index out of bounds")

    __float__ = __str__


class Interrupted:
    def __str__(self) -> str:
        raise KeyboardInterrupt


class Endless:
    """It has every attribute, and no end."""

    def __getattr__(self, _: str) -> "Endless":
        return Endless()

    def __getitem__(self, _: object) -> "Endless":
        return Endless()

    def __iter__(self) -> Any:
        while True:
            yield "key", "value"


def test_what_an_extension_in_rust_raises_is_a_failure_of_the_value() -> None:
    assert to_text(Panicking()) is None
    assert to_number(Panicking()) is None
    assert to_attributes({"a": Panicking(), "b": 1}) == {"b": 1}


def test_ctrl_c_ends_the_app_wherever_it_comes(captured: Capture) -> None:
    with pytest.raises(KeyboardInterrupt):
        metrics_collector.track_student_activity(Interrupted(), "waves")  # type: ignore[arg-type]


VALUES: dict[str, Any] = {
    "hostile": Hostile(),
    "panicking": Panicking(),
    "text": Text("text"),
    "endless": Endless(),
    "huge": 10**5000,
    "none": None,
}


@pytest.mark.parametrize("name", VALUES)
def test_the_app_gets_its_own_exception_whatever_it_passed(captured: Capture, name: str) -> None:
    value, error = VALUES[name], ValueError("of the app")

    def ask() -> None:
        with observe_question(value, value, value) as question:
            question.subject = question.documents = question.topic = value
            with question.generation(value, value, provider=value) as generation:
                generation.read(value)
                raise error

    with pytest.raises(ValueError, match="of the app") as raised:
        ask()

    assert raised.value is error
    assert captured.value("rag_queries_total", status="error") == 1


RECORDED: dict[str, Callable[[Any, Any], object]] = {
    "an attribute": lambda span, value: span.set_attribute(value, value),
    "attributes": lambda span, value: span.set_attributes(value),
    "an event": lambda span, value: span.add_event(value, value, value),
    "a link": lambda span, value: span.add_link(value, value),
    "a name": lambda span, value: span.update_name(value),
    "a status": lambda span, value: span.set_status(value, value),
    "an exception": lambda span, value: span.record_exception(value, value),
    "an end": lambda span, value: span.end(value),
}


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("what", RECORDED)
def test_a_span_takes_anything(captured: Capture, what: str, name: str) -> None:
    with trace_operation("step") as span:
        RECORDED[what](span, VALUES[name])

    assert len(captured.spans) == 1
    assert Spans(100).encode(captured.spans).resource_spans


def test_a_span_that_cannot_be_read_is_no_reason_to_lose_others() -> None:
    span: Any = TracerProvider(shutdown_on_exit=False).get_tracer("app").start_span("step")
    span.add_event(Text("event"))
    span.end()

    assert Spans(100).join([span, span])  # the encoder refuses it, alone


def test_a_line_whose_record_was_made_by_hand_is_no_error_of_the_app(captured: Capture) -> None:
    record = logging.makeLogRecord({"name": 7, "msg": "text", "levelno": 30, "args": None})
    logging.getLogger("app").handle(record)

    assert state.internal_errors == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: Settings.read(service_name=Hostile()),  # type: ignore[arg-type]
        lambda: Settings.read(cardinality_limits=Hostile(), environ={}),  # type: ignore[arg-type]
        lambda: Settings.read(environ={"OTEL_METRIC_EXPORT_INTERVAL": "9" * 5000}),
        lambda: Prices.read({"currency": Hostile()}, "prices"),
        lambda: Prices.read("\x00", "prices"),
        lambda: choose(Endless()),
        lambda: DiskCheck(path=Hostile()),
        lambda: DiskCheck(warning_percent=Hostile()),  # type: ignore[arg-type]
        lambda: health_routes(token=7),  # type: ignore[arg-type]
        lambda: HealthService().register(Hostile()),  # type: ignore[arg-type]
    ],
)
def test_a_setting_that_cannot_be_read_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ConfigurationError):
        make()


def test_what_has_no_end_is_not_read_to_its_end(captured: Capture) -> None:
    assert stream_of(Endless())
    assert len(to_attributes({"endless": list(range(1000))})["endless"]) == 128  # type: ignore[arg-type]
    observe_engine(Endless(), lambda _: None)

    assert state.internal_errors == 1


@pytest.fixture
def names_of_one_test() -> Iterator[None]:
    before = set(state.timers)
    yield
    state.timers.clear()
    state.timers.update(before)


@pytest.mark.usefixtures("names_of_one_test")
def test_functions_with_ever_new_names_are_timed_together_from_some_point_on(captured: Capture) -> None:
    for number in range(1200):
        track_time(f"answer to student {number}")(lambda: None)()

    timed = captured.read_metrics()
    assert sum(point.count or 0 for point in timed["other_functions.duration"]) >= 200
    assert len([name for name in timed if name.startswith("answer_to_student")]) <= 1000
    assert state.overflow["otel_tutor.instrument.name"] >= 200
