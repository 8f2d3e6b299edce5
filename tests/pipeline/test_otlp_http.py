"""Batches reach a real receiver over HTTP: a record that cannot be sent is lost alone, and all others arrive."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsPartialSuccess, ExportLogsServiceResponse

from otel_tutor.pipeline import Providers
from otel_tutor.pipeline.delivery import LOST
from otel_tutor.testing import Capture
from tests.pipeline.test_delivery import GOOD, SIGNALS, TOO_LARGE, named, plain, write_logs, write_spans
from tests.support.fork import in_a_fork
from tests.support.receiver import Receiver, http_receiver


@pytest.fixture(scope="module")
def server() -> Iterator[Receiver]:
    with http_receiver() as running:
        yield running


@pytest.fixture
def environ() -> dict[str, str]:
    """As an operator injects it; metrics are exported when they are flushed."""
    return {"OTEL_METRIC_EXPORT_INTERVAL": "3600000", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("status", [400, 413])
def test_of_a_thousand_records_only_the_one_that_is_refused_is_lost(
    signal: str, status: int, telemetry: Providers, received: Receiver, captured: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    write, arrived = SIGNALS[signal]
    received.judge = lambda request, _: status if named(request, "bad") else None
    write(telemetry, {**plain(GOOD[:500]), "bad": {}, **plain(GOOD[500:])})
    telemetry.flush()

    assert sorted(arrived(received)) == sorted(GOOD)
    assert captured.value("telemetry_lost_total", signal=signal) == 1
    (line,) = [record.getMessage() for record in caplog.records if record.name == "otel_tutor"]
    assert line.startswith(f"{LOST}: 1 ")
    assert f"refused by the receiver: {status} " in line


@pytest.mark.parametrize("signal", SIGNALS)
def test_a_record_that_is_too_large_is_lost_alone(
    signal: str, telemetry: Providers, received: Receiver, captured: Capture
) -> None:
    write, arrived = SIGNALS[signal]
    write(telemetry, {**plain(GOOD[:50]), "large": TOO_LARGE, **plain(GOOD[50:100])})
    telemetry.flush()

    assert sorted(arrived(received)) == sorted(GOOD[:100])
    assert captured.value("telemetry_lost_total", signal=signal) == 1


def test_who_may_not_write_is_asked_once_for_each_batch(telemetry: Providers, received: Receiver, captured: Capture) -> None:
    received.judge = lambda *_: 401
    write_spans(telemetry, plain(GOOD[:10]))
    telemetry.flush()

    assert received.requests == 1
    assert captured.value("telemetry_lost_total") == 0  # the SDK counts it: otel_sdk_exporter_span_exported_total


def test_records_that_the_receiver_says_it_left_out_are_counted(
    telemetry: Providers, received: Receiver, captured: Capture
) -> None:
    left_out = ExportLogsPartialSuccess(rejected_log_records=3, error_message="too old")
    received.judge = lambda *_: ExportLogsServiceResponse(partial_success=left_out)
    write_logs(telemetry, plain(GOOD[:10]))
    telemetry.flush()

    assert captured.value("telemetry_lost_total", signal="logs") == 3


def test_a_forked_child_has_its_own_connections(telemetry: Providers, received: Receiver) -> None:
    write_spans(telemetry, plain(["parent"]))
    telemetry.flush()

    def in_child() -> Any:
        write_spans(telemetry, plain(["child"]))
        telemetry.flush()
        return os.getpid()

    assert in_a_fork(in_child) != os.getpid()
    assert {span.name for span in received.spans} == {"parent", "child"}
    assert len(received.connections) == 2
