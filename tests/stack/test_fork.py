"""Forked children count their own work only, under names of their own."""

import os
import subprocess
import sys

from otel_tutor.tools.stack.polling import wait_for
from tests.support.stack import Running, operations

PARENT, CHILDREN, EACH = 10, 3, 2

PROGRAM = f"""
import os
import otel_tutor
from otel_tutor.lifecycle import providers
from otel_tutor.monitoring import metrics_collector
from otel_tutor.tracing import trace_operation

otel_tutor.configure(service_name="forked")
metrics_collector.set_active_sessions(5)
for _ in range({PARENT}):
    metrics_collector.track_student_activity("physics", "optics")
providers().flush()  # the parent's connections are in use when it forks
children = []
waiting, together = os.pipe()  # a child that is done before the next begins would hand its name on
for number in range({CHILDREN}):
    if not (child := os.fork()):
        os.close(together)
        for _ in range({EACH}):
            with trace_operation(f"in child {{number}}"):
                metrics_collector.track_student_activity("physics", "optics")
        os.read(waiting, 1)
        otel_tutor.shutdown()
        os._exit(0)
    children.append(child)
os.close(together)
print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""


def test_children_start_at_zero_and_arrive_beside_their_parent(running: Running) -> None:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": running.otlp},
    )
    assert (result.stdout.strip(), result.returncode) == (str([0] * CHILDREN), 0), result.stderr

    def counts() -> list[float]:
        return sorted(sample.value for sample in running.backends.query('student_questions_total{job="forked"}'))

    expected = [EACH] * CHILDREN + [PARENT]
    assert wait_for(counts, lambda seen: seen == expected, seconds=30) == expected
    sessions = running.backends.query('student_sessions_active{job="forked"}')
    assert [sample.value for sample in sessions] == [5]


def test_spans_of_children_arrive(running: Running) -> None:
    spans = wait_for(lambda: operations(running.backends, "forked"), lambda seen: len(seen) >= CHILDREN, seconds=30)

    assert set(spans) == {f"in child {number}" for number in range(CHILDREN)}
