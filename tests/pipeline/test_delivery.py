"""Batches reach a real gRPC receiver: a record that cannot be sent is lost alone, and all others arrive."""

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]  # ships no types
import pytest
from google.protobuf.duration_pb2 import Duration  # type: ignore[import-untyped]  # ships no types
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]  # ships no types
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsPartialSuccess, ExportLogsServiceResponse

from otel_tutor.pipeline import Providers
from otel_tutor.pipeline.delivery import LOST
from otel_tutor.pipeline.logs import ExportHandler
from otel_tutor.testing import Capture
from tests.support.receiver import Receiver, values

GOOD = [f"good {number}" for number in range(1000)]
# Each value is within the limit; all of them together are not within gRPC's.
TOO_LARGE = {f"prompt.{number}": "x" * 60_000 for number in range(90)}
BROKEN = "half \ud83d an emoji"  # as a cut JSON escape leaves it
MADE_VALID = "half ? an emoji"


def plain(names: list[str]) -> dict[str, dict[str, Any]]:
    """Records without attributes."""
    return {name: {} for name in names}


def write_spans(telemetry: Providers, records: dict[str, dict[str, Any]]) -> None:
    tracer = telemetry.tracer.get_tracer("app")
    for name, attributes in records.items():
        tracer.start_span(name, attributes=attributes).end()


def write_logs(telemetry: Providers, records: dict[str, dict[str, Any]]) -> None:
    handler = ExportHandler(telemetry.logger)
    for body, attributes in records.items():
        handler.handle(logging.makeLogRecord({"name": "app", "msg": body, "levelno": logging.INFO, **attributes}))


def write_points(telemetry: Providers, records: dict[str, dict[str, Any]]) -> None:
    counter = telemetry.meter.get_meter("app").create_counter("answers", description=BROKEN)
    for name, attributes in records.items():
        counter.add(1, {"name": name, **attributes})


SIGNALS: dict[str, tuple[Callable[..., None], Callable[[Receiver], list[str]]]] = {
    "traces": (write_spans, lambda received: [span.name for span in received.spans]),
    "logs": (write_logs, lambda received: received.bodies),
    "metrics": (write_points, lambda received: [values(point)["name"] for point in received.points["answers"]]),
}


@pytest.mark.parametrize("signal", SIGNALS)
def test_of_a_thousand_records_only_the_one_that_cannot_be_sent_is_lost(
    signal: str, telemetry: Providers, received: Receiver, captured: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    write, arrived = SIGNALS[signal]
    write(telemetry, {**plain(GOOD[:500]), BROKEN: {}, "large": TOO_LARGE, **plain(GOOD[500:])})
    telemetry.flush()

    assert sorted(arrived(received)) == sorted([*GOOD, MADE_VALID])
    assert [captured.value("telemetry_lost_total", signal=name) for name in SIGNALS] == [name == signal for name in SIGNALS]
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"{LOST}: 1 ")
    assert "RESOURCE_EXHAUSTED" in line


@pytest.mark.parametrize("signal", SIGNALS)
def test_records_that_are_too_many_for_one_request_go_in_several(
    signal: str, telemetry: Providers, received: Receiver, captured: Capture
) -> None:
    write, arrived = SIGNALS[signal]
    write(telemetry, {name: {"prompt": "x" * 60_000} for name in GOOD[:200]})
    telemetry.flush()

    assert sorted(arrived(received)) == sorted(GOOD[:200])
    assert received.requests >= 3  # 12 MB
    assert captured.value("telemetry_lost_total") == 0


def named(request: Any, name: str) -> bool:
    return name in str(request)  # protobuf's text has every string


@pytest.mark.parametrize("code", ["INVALID_ARGUMENT", "INTERNAL", "UNKNOWN"])
@pytest.mark.parametrize("signal", SIGNALS)
def test_a_request_that_is_refused_for_its_content_is_halved_until_one_record_is_left(
    signal: str, code: str, telemetry: Providers, received: Receiver, captured: Capture
) -> None:
    def refuse_the_bad(request: Any, context: grpc.ServicerContext) -> None:
        if named(request, "bad"):
            context.abort(grpc.StatusCode[code], "it is bad")

    write, arrived = SIGNALS[signal]
    received.judge = refuse_the_bad
    write(telemetry, plain([*GOOD[:300], "bad", *GOOD[300:400]]))
    telemetry.flush()

    assert sorted(arrived(received)) == sorted(GOOD[:400])
    assert captured.value("telemetry_lost_total", signal=signal) == 1
    assert received.requests <= 2 * 10 + 1  # 401 is halved nine times at most


def test_a_receiver_that_refuses_everything_is_not_asked_about_each_record(
    telemetry: Providers, received: Receiver, captured: Capture
) -> None:
    received.judge = lambda _, context: context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no")
    write_spans(telemetry, plain(GOOD[:500]))
    telemetry.flush()

    assert received.requests == 32
    assert captured.value("telemetry_lost_total", signal="traces") == 500


def test_a_receiver_that_may_not_be_written_to_is_asked_once_for_each_batch(
    telemetry: Providers, received: Receiver, captured: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    received.judge = lambda _, context: context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")
    write_spans(telemetry, plain(GOOD[:10]))
    telemetry.flush()

    assert received.requests == 1
    assert captured.value("telemetry_lost_total") == 0  # the SDK counts it: otel_sdk_exporter_span_exported_total
    assert "who are you?" in caplog.text


def test_records_that_the_receiver_says_it_left_out_are_counted(
    telemetry: Providers, received: Receiver, captured: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    answer = ExportLogsPartialSuccess(rejected_log_records=2, error_message="too old")
    received.judge = lambda *_: ExportLogsServiceResponse(partial_success=answer)
    write_logs(telemetry, plain(GOOD[:5]))
    telemetry.flush()

    assert captured.value("telemetry_lost_total", signal="logs") == 2
    assert "2 log records: left out by the receiver: too old" in caplog.text


@pytest.mark.parametrize("signal", ["traces", "logs"])
def test_a_receiver_that_is_away_is_waited_for(
    signal: str, telemetry: Providers, received: Receiver, captured: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    write, arrived = SIGNALS[signal]

    def be_away_five_times(_: Any, context: grpc.ServicerContext) -> None:
        if received.requests <= 5:
            context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")

    received.judge = be_away_five_times
    write(telemetry, plain(GOOD[:10]))

    assert telemetry.flush(20)
    assert sorted(arrived(received)) == sorted(GOOD[:10])
    assert len([record for record in caplog.records if "not yet" in record.getMessage()]) == 1
    assert captured.value("telemetry_lost_total") == 0


def test_a_process_that_ends_does_not_wait_for_longer_than_it_may(telemetry: Providers, received: Receiver) -> None:
    received.judge = lambda _, context: context.abort(grpc.StatusCode.UNAVAILABLE, "never")
    write_spans(telemetry, plain(GOOD[:10]))
    began = time.monotonic()
    telemetry.shutdown(2)

    assert time.monotonic() - began < 3


def test_what_arrived_before_a_receiver_was_away_is_not_sent_again(telemetry: Providers, received: Receiver) -> None:
    away = threading.Event()

    def be_away_once(_: Any, context: grpc.ServicerContext) -> None:
        if received.requests > 1 and not away.is_set():
            away.set()
            context.abort(grpc.StatusCode.UNAVAILABLE, "a moment")

    received.judge = be_away_once
    write_spans(telemetry, {name: {"prompt": "x" * 60_000} for name in GOOD[:200]})
    telemetry.flush()

    assert away.is_set()
    assert sorted(span.name for span in received.spans) == sorted(GOOD[:200])


def test_a_receiver_that_asks_for_patience_gets_the_same_request_again(telemetry: Providers, received: Receiver) -> None:
    def ask_once(_: Any, context: grpc.ServicerContext) -> None:
        if received.requests == 1:
            patience = RetryInfo(retry_delay=Duration(nanos=1)).SerializeToString()
            context.set_trailing_metadata([("google.rpc.retryinfo-bin", patience)])
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "more than the limit of messages")

    received.judge = ask_once
    write_spans(telemetry, plain(GOOD[:10]))
    telemetry.flush()

    assert (received.requests, len(received.spans)) == (2, 10)


def test_a_span_that_cannot_be_encoded_is_lost_alone(
    telemetry: Providers, received: Receiver, captured: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    write_spans(telemetry, plain(GOOD[:100]))
    telemetry.tracer.get_tracer("app").start_span("before 1970", start_time=-1).end()
    write_spans(telemetry, plain(GOOD[100:200]))
    telemetry.flush()

    assert sorted(span.name for span in received.spans) == sorted(GOOD[:200])
    assert captured.value("telemetry_lost_total", signal="traces") == 1
    assert "1 span 'before 1970': not encodable: ValueError" in caplog.text


def test_a_measurement_that_cannot_be_encoded_is_lost_alone(
    telemetry: Providers, received: Receiver, captured: Capture
) -> None:
    write_points(telemetry, plain(GOOD[:10]))
    telemetry.meter.get_meter("app").create_counter("stars").add(2**70)
    telemetry.flush()

    assert len(received.points["answers"]) == 10
    assert captured.value("telemetry_lost_total", signal="metrics") == 1


def test_shutting_down_sends_the_good_ones_around_a_bad_one(telemetry: Providers, received: Receiver) -> None:
    for signal, (write, _) in SIGNALS.items():
        write(telemetry, {**plain(GOOD[:100]), "large": TOO_LARGE, signal: {}})
    telemetry.shutdown(3)

    for signal, (_, arrived) in SIGNALS.items():
        assert sorted(arrived(received)) == sorted([*GOOD[:100], signal])


RENAMED = """
from tests.support.renamed import rename
rename("_translate_data")
import logging, sys
import otel_tutor
from opentelemetry import metrics, trace

large = {f"prompt.{number}": "x" * 60_000 for number in range(90)}
otel_tutor.configure(endpoint=sys.argv[1])
counter = metrics.get_meter("app").create_counter("answers")
for name in [*map(str, range(100)), "bad"]:
    attributes = large if name == "bad" else {}
    trace.get_tracer("app").start_span(name, attributes=attributes).end()
    logging.getLogger("app").warning(name, extra=attributes)
    counter.add(1, {"name": name, **attributes})
otel_tutor.shutdown()
"""


@pytest.mark.processes
def test_where_whole_batches_cannot_be_had_only_records_that_are_too_large_are_lost(
    repository: Path, received: Receiver
) -> None:
    program = [sys.executable, "-c", RENAMED, received.address]
    result = subprocess.run(program, capture_output=True, text=True, timeout=60, check=True, cwd=repository)

    for _, arrived in SIGNALS.values():
        assert sorted(arrived(received)) == sorted(map(str, range(100)))
    assert "work-around 'whole batches' is switched off" in result.stderr
    assert result.stderr.count(LOST) == 1
