"""What a process that takes over another's name tells a receiver: when its series began, and which gauges have ended."""

import time

import grpc  # type: ignore[import-untyped]  # ships no types
import pytest
from opentelemetry.metrics import Observation

from otel_tutor.pipeline import Providers
from otel_tutor.recording.state import state
from tests.support.receiver import Receiver, values


def test_a_series_starts_just_before_its_first_point_and_keeps_that_start(telemetry: Providers, received: Receiver) -> None:
    counter = telemetry.meter.get_meter("app").create_counter("answers")
    for _ in range(2):
        counter.add(1)
        telemetry.flush()
    first, second = received.points["answers"]

    assert first.time_unix_nano - first.start_time_unix_nano == 1_000_000
    assert second.start_time_unix_nano == first.start_time_unix_nano


def test_a_series_whose_first_point_was_not_taken_starts_with_the_next(telemetry: Providers, received: Receiver) -> None:
    counter = telemetry.meter.get_meter("app").create_counter("answers")
    counter.add(1)
    received.judge = lambda _, context: context.abort(grpc.StatusCode.UNAUTHENTICATED, "no")
    telemetry.flush()
    before = time.time_ns()
    received.judge = lambda *_: None
    telemetry.flush()

    (point,) = received.points["answers"]
    assert point.start_time_unix_nano > before - 1_000_000


def test_gauges_of_a_process_that_has_just_ended_end_where_another_has_the_same(
    telemetry: Providers, received: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "predecessors", {"host-0": time.monotonic() + 60, "host-1": time.monotonic() - 1})
    meter = telemetry.meter.get_meter("app")
    meter.create_observable_gauge("sessions", [lambda _: [Observation(1, {"room": "a"}), Observation(2, {"room": "b"})]])
    meter.create_counter("answers").add(1)
    telemetry.flush()

    ends = [point for point in received.points["sessions"] if point.flags]
    assert [values(point)["room"] for point in ends] == ["a", "b"]
    assert [point.flags for point in received.points["answers"]] == [0]
