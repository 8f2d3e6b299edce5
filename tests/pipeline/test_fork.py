"""A forked child of a configured process: its own counts, its own name, its own connections, and it ends by itself."""

import subprocess
import sys

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

from otel_tutor.health import health_service
from otel_tutor.monitoring import metrics_collector
from otel_tutor.pipeline.upstream import reconnect
from otel_tutor.testing import Capture
from tests.support.fork import in_a_fork


def instance() -> str:
    provider = trace.get_tracer_provider()
    return str(provider.resource.attributes["service.instance.id"])  # type: ignore[attr-defined]  # the SDK's


def test_a_child_counts_its_own_work_only(captured: Capture) -> None:
    for _ in range(3):
        metrics_collector.track_student_activity("physics", "optics")
        metrics_collector.track_rag_query("physics", 0.1, 3, 0.2)

    def in_child() -> list[float]:
        metrics_collector.track_student_activity("physics", "optics")
        metrics_collector.track_rag_query("physics", 0.1, 3, 0.2)
        return [captured.value("student_questions_total"), captured.count("rag_retrieval_duration_seconds")]

    assert in_a_fork(in_child) == [1, 1]
    assert [captured.value("student_questions_total"), captured.count("rag_retrieval_duration_seconds")] == [3, 3]


def test_a_child_has_an_instance_of_its_own(captured: Capture) -> None:
    assert in_a_fork(instance) != instance()


def test_what_a_parent_stated_is_not_stated_again_by_its_child(captured: Capture) -> None:
    metrics_collector.set_active_sessions(5)

    assert in_a_fork(lambda: captured.value("student_sessions_active")) == 0
    assert captured.value("student_sessions_active") == 5


def test_an_exporter_gets_a_connection_of_its_own() -> None:
    exporter = OTLPSpanExporter("http://127.0.0.1:9", insecure=True)
    before = exporter._channel
    reconnect([None, exporter])

    assert exporter._channel is not before
    before.close()
    exporter.shutdown()


def test_a_draining_parent_has_children_that_do_not_drain(captured: Capture) -> None:
    import asyncio

    health_service.start_draining()

    assert in_a_fork(lambda: asyncio.run(health_service.check_readiness())["ready"]) is True
    captured.reset()


@pytest.mark.processes
def test_a_child_ends_by_itself_without_a_word() -> None:
    program = """
import os, sys
import otel_tutor
otel_tutor.configure(endpoint="http://127.0.0.1:9")
if child := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    environ = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
    result = subprocess.run(
        # From 3.12 on Python warns of every fork beside a thread, whatever the child does.
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environ,
    )

    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
