"""What is measured of the process and of the SDK itself."""

from otel_tutor.testing import Capture
from otel_tutor.tracing import trace_operation


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


def test_the_sdk_counts_what_it_processed_but_not_every_start_of_a_span(captured: Capture) -> None:
    with trace_operation("work"):
        pass
    assert len(captured.spans) == 1

    metrics = captured.read_metrics()
    assert sum(point.value or 0 for point in metrics["otel.sdk.processor.span.processed"]) == 1
    assert not {"otel.sdk.span.live", "otel.sdk.span.started"} & set(metrics)
