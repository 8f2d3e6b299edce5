"""The Collector refuses before it dies, and delivers what it accepted before it was stopped."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx2
import psutil

from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.native.stack import NativeStack
from otel_tutor.tools.stack.polling import wait_for
from otel_tutor.tools.stack.ports import LOOPBACK
from tests.support.ports import unused_ports
from tests.support.stack import APP_AND_PAGE, Running

# One batch of spans of a service, sent and acknowledged, or not within two seconds.
PROGRAM = """
import sys
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

kept = InMemorySpanExporter()
provider = TracerProvider(resource=Resource({"service.name": "recovered"}))
provider.add_span_processor(SimpleSpanProcessor(kept))
with provider.get_tracer("test").start_as_current_span("batch") as root:
    for number in range(199):
        provider.get_tracer("test").start_span("item").end()
exporter = OTLPSpanExporter(endpoint=sys.argv[1], insecure=True, timeout=2)
print(exporter.export(kept.get_finished_spans()).name, format(root.get_span_context().trace_id, "032x"))
"""


def send(otlp: str) -> tuple[str, str]:
    """How it ended, and the trace."""
    answer = subprocess.run([sys.executable, "-c", PROGRAM, otlp], check=True, timeout=60, capture_output=True, text=True)
    result, trace_id = answer.stdout.split()
    return result, trace_id


def start(running: Running, name: str) -> None:
    """Start a component and wait until it answers."""
    running.stack.supervisor.start_program(name)
    states: Callable[[], dict[str, bool]] = lambda: {program.name: program.ready for program in running.stack.status()}  # noqa: E731
    assert wait_for(states, lambda ready: ready[name], seconds=30)[name]


def arrives(running: Running, trace_id: str) -> bool:
    return len(wait_for(lambda: running.backends.trace(trace_id), lambda seen: len(seen) == 200, seconds=30)) == 200


def test_what_waits_for_a_store_outlives_a_restart_of_the_collector(running: Running) -> None:
    supervisor = running.stack.supervisor
    supervisor.stop_program("jaeger")
    result, trace_id = send(running.otlp)
    supervisor.stop_program("collector")
    start(running, "jaeger")
    start(running, "collector")

    assert result == "SUCCESS"
    assert arrives(running, trace_id)


NO_MEMORY = """
processors:
  memory_limiter:
    check_interval: 100ms
    limit_mib: 2
    spike_limit_mib: 1
"""


def test_without_memory_it_refuses_and_does_not_die(binaries: Binaries, tmp_path: Path) -> None:
    overlay = tmp_path / "no-memory.yaml"
    overlay.write_text(NO_MEMORY, encoding="utf-8")
    ports, stack = unused_ports(), NativeStack(tmp_path / "data", binaries=binaries, die_with_parent=True)
    stack.up(ports, overlays=[str(overlay)], without=APP_AND_PAGE)
    try:
        pid = {program.name: program.pid for program in stack.status()}["collector"]
        result, _ = send(f"http://{LOOPBACK}:{ports['otlp']}")
        own = httpx2.get(f"http://{LOOPBACK}:{ports['collector-metrics']}/metrics").text
        assert result == "FAILURE"
        refused = [line for line in own.splitlines() if line.startswith("otelcol_receiver_refused_spans")]
        assert any(float(line.rsplit(" ", 1)[1]) > 0 for line in refused), refused
        assert {program.name: (program.pid, program.ready) for program in stack.status()}["collector"] == (pid, True)
        assert pid is not None
        assert psutil.pid_exists(pid)
    finally:
        stack.down()


# What rules and dashboards read of the Collector itself; another version that calls them otherwise must fail here.
OWN = [
    *(f"otelcol_receiver_{what}_{item}" for what in ("accepted", "refused") for item in ("spans", "metric_points")),
    "otelcol_exporter_sent_metric_points",
    *(f"otelcol_exporter_{what}" for what in ("queue_size", "queue_capacity")),
    *(f"otelcol_process_{what}" for what in ("uptime", "memory_rss", "cpu_seconds")),
]


def test_the_collectors_own_metrics_go_by_the_names_that_rules_use(running: Running) -> None:
    httpx2.get(f"{running.app}/subjects")

    def missing() -> list[str]:
        return [name for name in OWN if not running.backends.query(f'{name}{{job="collector"}}')]

    assert wait_for(missing, lambda names: names == [], seconds=30) == []
