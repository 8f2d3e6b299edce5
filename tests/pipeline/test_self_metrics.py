"""What is measured of the process and of the SDK itself."""

import os

import pytest

from otel_tutor.pipeline.self_metrics import sdk_self_metrics
from otel_tutor.testing import Capture
from otel_tutor.tracing import trace_operation

VARIABLE = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"


def test_the_process_is_measured_without_what_others_measure(captured: Capture) -> None:
    metrics = captured.read_metrics()

    assert {"process.cpu.time", "process.memory.usage", "process.thread.count", "cpython.gc.collections"} <= set(metrics)
    assert {name for name in metrics if name.startswith("process.runtime.")} == set()
    assert {name for name in metrics if name.startswith("system.")} == {
        "system.cpu.usage",
        "system.memory.usage",
        "system.disk.limit",
        "system.disk.usage",
    }


@pytest.mark.parametrize("value", ["true", "false"])
def test_a_users_own_choice_of_the_sdks_metrics_stays(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(VARIABLE, value)
    with sdk_self_metrics():
        assert os.environ[VARIABLE] == value
    assert os.environ[VARIABLE] == value


def test_without_one_they_are_on_only_where_a_component_is_made() -> None:
    with sdk_self_metrics():
        assert os.environ[VARIABLE] == "true"
    assert VARIABLE not in os.environ


def test_the_sdk_counts_what_it_processed_but_not_every_start_of_a_span(captured: Capture) -> None:
    with trace_operation("work"):
        pass
    assert len(captured.spans) == 1

    metrics = captured.read_metrics()
    assert sum(point.value or 0 for point in metrics["otel.sdk.processor.span.processed"]) == 1
    assert not {"otel.sdk.span.live", "otel.sdk.span.started"} & set(metrics)
