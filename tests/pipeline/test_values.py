"""Whatever text telemetry is given arrives: what UTF-8 cannot hold is replaced, and what is too long is cut."""

import logging
from typing import Any

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.trace import Link, SpanContext, Status, StatusCode

from otel_tutor.errors import ConfigurationError
from otel_tutor.pipeline import Providers
from otel_tutor.pipeline.logs import ExportHandler
from otel_tutor.settings import DEFAULT_VALUE_LIMIT, Settings
from otel_tutor.testing import Capture
from tests.support.receiver import Receiver, values

BROKEN, VALID = "caf\udce9 \ud83d", "caf? ?"  # a file name that is not UTF-8, and half an emoji
LONG = "x" * 200_000


@pytest.fixture(autouse=True)
def nothing_is_lost(captured: Capture) -> Any:
    yield
    assert captured.value("telemetry_lost_total") == 0


def test_text_of_a_span_that_utf8_cannot_hold_is_replaced_wherever_it_is(telemetry: Providers, received: Receiver) -> None:
    elsewhere = SpanContext(1, 2, is_remote=True)
    tracer = telemetry.tracer.get_tracer(BROKEN, BROKEN, attributes={BROKEN: BROKEN})
    with tracer.start_as_current_span(BROKEN, links=[Link(elsewhere, {BROKEN: BROKEN})]) as span:
        span.set_attributes({BROKEN: BROKEN, "names": [BROKEN, "b"]})
        span.add_event(BROKEN, {BROKEN: BROKEN})
        span.set_status(Status(StatusCode.ERROR, BROKEN))
    telemetry.flush()

    (arrived,) = received.spans
    (scope,) = received.scopes
    assert (arrived.name, arrived.status.message, arrived.events[0].name, scope.name, scope.version) == (VALID,) * 5
    assert [values(part).get(VALID) for part in (arrived, arrived.events[0], arrived.links[0], scope)] == [VALID] * 4
    (names,) = [attribute.value for attribute in arrived.attributes if attribute.key == "names"]
    assert [name.string_value for name in names.array_value.values] == [VALID, "b"]


def test_a_span_of_which_text_was_replaced_still_says_what_its_limits_dropped(
    telemetry: Providers, received: Receiver
) -> None:
    span = telemetry.tracer.get_tracer("app").start_span(BROKEN, attributes={f"key {number}": 1 for number in range(130)})
    for number in range(129):
        span.add_event(f"event {number}")
    span.end()
    telemetry.flush()

    (arrived,) = received.spans
    assert (arrived.name, arrived.dropped_attributes_count, arrived.dropped_events_count) == (VALID, 2, 1)


def test_an_exception_with_such_text_is_recorded_with_its_span(telemetry: Providers, received: Receiver) -> None:
    with pytest.raises(ValueError, match="cannot"), telemetry.tracer.get_tracer("app").start_as_current_span("work"):
        raise ValueError(f"cannot parse {BROKEN}")
    telemetry.flush()

    (arrived,) = received.spans
    assert arrived.status.message == f"ValueError: cannot parse {VALID}"
    assert values(arrived.events[0])["exception.message"] == f"cannot parse {VALID}"


def test_text_of_a_log_record_that_utf8_cannot_hold_is_replaced_wherever_it_is(
    telemetry: Providers, received: Receiver
) -> None:
    record = {"name": BROKEN, "msg": "wrote %s", "args": (BROKEN,), "levelno": logging.INFO, BROKEN: BROKEN}
    ExportHandler(telemetry.logger).handle(logging.makeLogRecord(record))
    body: Any = {BROKEN: [BROKEN, {"deep": BROKEN}], "large": 2**70, "set": {1}}
    telemetry.logger.get_logger("app").emit(LogRecord(body=body, event_name=BROKEN))
    telemetry.flush()

    written, structured = received.log_records
    assert (written.body.string_value, values(written)[VALID], structured.event_name) == (f"wrote {VALID}", VALID, VALID)
    assert [scope.name for scope in received.scopes] == [VALID, "app"]
    assert str(structured.body).count(VALID) == 3
    assert str(2**70) in str(structured.body)


def test_text_of_a_metric_that_utf8_cannot_hold_is_replaced_wherever_it_is(telemetry: Providers, received: Receiver) -> None:
    meter = telemetry.meter.get_meter(BROKEN, BROKEN)
    with telemetry.tracer.get_tracer("app").start_as_current_span("work"):
        meter.create_histogram("seconds", description=BROKEN).record(1, {BROKEN: BROKEN, "number": 2**70})
    telemetry.meter.force_flush()

    (metric,) = [metric for metric in received.metrics if metric.name == "seconds"]
    (point,) = metric.exponential_histogram.data_points
    assert (metric.description, values(point)) == (VALID, {VALID: VALID, "number": str(2**70)})
    assert point.exemplars
    assert VALID in [scope.name for scope in received.scopes]


def test_two_scopes_that_become_one_by_it_both_arrive(telemetry: Providers, received: Receiver) -> None:
    for name in ("half \ud83d", "half \ud83e"):
        telemetry.meter.get_meter(name).create_counter(f"counter.{ord(name[-1])}").add(1)
    telemetry.meter.force_flush()

    assert {name for name in received.points if name.startswith("counter.")} == {"counter.55357", "counter.55358"}


def test_values_are_cut_at_the_default_limit(telemetry: Providers, received: Receiver) -> None:
    cut = LONG[:DEFAULT_VALUE_LIMIT]
    with telemetry.tracer.get_tracer("app").start_as_current_span(LONG, attributes={"prompt": LONG}) as span:
        span.add_event(LONG, {"text": LONG})
        span.set_status(Status(StatusCode.ERROR, LONG))
    log = {"name": "app", "msg": LONG, "levelno": logging.INFO, "prompt": LONG}
    ExportHandler(telemetry.logger).handle(logging.makeLogRecord(log))
    telemetry.meter.get_meter("app").create_counter("answers", description=LONG).add(1, {"prompt": LONG})
    telemetry.flush()

    (span_,), (record,), (point,) = received.spans, received.log_records, received.points["answers"]
    assert [span_.name, span_.status.message, span_.events[0].name, record.body.string_value] == [cut] * 4
    assert [values(part)["prompt"] for part in (span_, record, point)] == [cut] * 3
    assert values(span_.events[0])["text"] == cut


def test_messages_and_stack_traces_of_exceptions_are_cut(telemetry: Providers, received: Receiver) -> None:
    try:
        with telemetry.tracer.get_tracer("app").start_as_current_span("work"):
            raise ValueError(LONG)
    except ValueError as error:
        info = (ValueError, error, error.__traceback__)
    record = {"name": "app", "msg": "failed", "levelno": logging.ERROR, "exc_info": info}
    ExportHandler(telemetry.logger).handle(logging.makeLogRecord(record))
    telemetry.flush()

    for part in (received.spans[0].events[0], received.log_records[0]):
        attributes = values(part)
        assert len(attributes["exception.message"]) == len(attributes["exception.stacktrace"]) == DEFAULT_VALUE_LIMIT
    assert len(received.spans[0].status.message) == DEFAULT_VALUE_LIMIT


class TestLimitsThatAreSet:
    @pytest.fixture
    def environ(self, environ: dict[str, str]) -> dict[str, str]:
        limits = {"OTEL_ATTRIBUTE": "9", "OTEL_SPAN_ATTRIBUTE": "100000", "OTEL_LOGRECORD_ATTRIBUTE": "5"}
        return environ | {f"{name}_VALUE_LENGTH_LIMIT": limit for name, limit in limits.items()}

    def test_they_win_over_the_default(self, telemetry: Providers, received: Receiver) -> None:
        telemetry.tracer.get_tracer("app").start_span("work", attributes={"prompt": LONG}).end()
        record = {"name": "app", "msg": "a question", "levelno": logging.INFO, "prompt": LONG}
        ExportHandler(telemetry.logger).handle(logging.makeLogRecord(record))
        telemetry.meter.get_meter("app").create_counter("answers").add(1, {"prompt": LONG})
        telemetry.flush()

        parts = (received.spans[0], received.log_records[0], received.points["answers"][0])
        assert [len(values(part)["prompt"]) for part in parts] == [100_000, 5, 9]
        assert received.bodies == ["a que"]


def test_the_general_limit_is_that_of_spans_and_logs_too_and_an_empty_one_is_not_set() -> None:
    general, empty = (Settings.read(environ={"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": limit}) for limit in ("9", ""))

    assert (general.value_limit, general.span_value_limit, general.log_value_limit) == (9, 9, 9)
    assert empty.value_limit == DEFAULT_VALUE_LIMIT


@pytest.mark.parametrize("limit", ["-1", "many", "1.5"])
def test_a_limit_that_is_none_is_refused(limit: str) -> None:
    with pytest.raises(ConfigurationError, match=f"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT='{limit}' is not a number"):
        Settings.read(environ={"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": limit})
