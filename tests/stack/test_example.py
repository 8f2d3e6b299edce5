"""README's example of a question, failing: the alert sees it, and the latency of retrieval does not."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otel_tutor.tools.exercise.environment import shorten_timers
from otel_tutor.tools.stack.backends import Backends
from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.native.stack import NativeStack
from otel_tutor.tools.stack.polling import wait_for
from tests.support.ports import unused_ports
from tests.support.stack import APP_AND_PAGE

ARRIVAL = 120  # seconds; a machine may be busy
P95 = 'job:rag_retrieval_duration_seconds:p95_rate2m{job="example"}'
MEASURED = 'rag_retrieval_duration_seconds_count{job="example"}'
FAILED = 'rag_queries_total{job="example",status="failed"}'
ALERT = 'ALERTS{{job="example",alertname="HighRAGFailureRate",alertstate="{}"}}'.format

# A search takes 1.2 s: in the middle of a bucket that is a second and a half wide, also on a busy machine.
AROUND = """
import sys
import time

import otel_tutor


def search(question):
    if question == "fail":
        raise LookupError("the index is gone")
    time.sleep(1.2)
    return ["Violet light has a short wavelength."]


def generate(question, passages):
    return "answered"


otel_tutor.configure(service_name="example")
for line in sys.stdin:
    try:
        print(answer(line.strip(), "physics"), flush=True)
    except LookupError as error:
        print(error, flush=True)
"""

Ask = Callable[[str], str]


@pytest.fixture
def stack(binaries: Binaries, tmp_path: Path) -> Iterator[NativeStack]:
    """A stack whose alerts do not wait as long as they would."""
    stack = NativeStack(tmp_path / "data", binaries=binaries, die_with_parent=True)
    stack.up(unused_ports(), without=APP_AND_PAGE, edit=shorten_timers)
    yield stack
    stack.down()


@pytest.fixture
def ask(stack: NativeStack, repository: Path) -> Iterator[Ask]:
    """What a process that runs the example as README prints it answers to a question."""
    blocks = (repository / "README.md").read_text(encoding="utf-8").split("```python\n")[1:]
    (example,) = [block.partition("```")[0] for block in blocks if "def answer(" in block]
    otlp = f"http://127.0.0.1:{stack.state.ports['otlp']}"
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": otlp, "OTEL_METRIC_EXPORT_INTERVAL": "5000"}
    command, pipe = [sys.executable, "-c", example + AROUND], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) as process:
        questions, answers = process.stdin, process.stdout
        assert questions
        assert answers

        def answer_to(question: str) -> str:
            print(question, file=questions, flush=True)
            return answers.readline().strip()

        yield answer_to


def test_the_example_failing_ten_times_in_a_row_pages_and_leaves_the_latency_of_retrieval(
    stack: NativeStack, ask: Ask
) -> None:
    with Backends(stack.state.ports) as backends:

        def value(expression: str) -> float:
            return sum(sample.value for sample in backends.query(expression))

        answers = []

        def p95_after_a_question() -> float:
            answers.append(ask("Why is the sky blue?"))
            return value(f"{P95} > 0")

        before = wait_for(p95_after_a_question, bool, seconds=ARRIVAL)
        assert before > 1
        assert set(answers) == {"answered"}
        assert [ask("fail") for _ in range(10)] == ["the index is gone"] * 10

        assert wait_for(lambda: value(ALERT("firing")), bool, seconds=ARRIVAL) == 1
        assert value(f"count_over_time({ALERT('pending')}[10m])") >= 1
        assert (value(FAILED), value(MEASURED)) == (10, len(answers))
        for extreme in ("min", "max"):  # at no time was it another
            assert value(f"{extreme}_over_time({P95}[10m])") == pytest.approx(before, rel=0.002)
