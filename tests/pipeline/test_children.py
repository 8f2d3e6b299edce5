"""What children of multiprocessing record arrives, however they are started and however they end."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.receiver import Receiver

pytestmark = pytest.mark.processes

SEARCHES = "vector_store.search.duration"
PROGRAM = """
import logging
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor

import otel_tutor
from otel_tutor.monitoring import metrics_collector
from otel_tutor.tracing import trace_operation

if sys.argv[1] != "configured_late":
    otel_tutor.configure(endpoint=sys.argv[3])


def job(number):
    with trace_operation(f"job {number}"):
        metrics_collector.track_vector_search("passages", 0.01)
        logging.getLogger("app").info("job %d", number)


def job_that_fails(number):
    job(number)
    sys.exit(3)


def process(context, target=job):
    for number in range(3):
        child = context.Process(target=target, args=(number,))
        child.start()
        child.join()


def process_that_fails(context):
    process(context, job_that_fails)


def executor(context):
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        list(pool.map(job, range(3)))


def recycled_pool(context):
    with context.Pool(1, maxtasksperchild=1) as pool:
        pool.map(job, range(3), chunksize=1)
        pool.close()
        pool.join()


def configured_late(context):
    process(context, configure_and_job)


def configure_and_job(number):
    otel_tutor.configure(endpoint=sys.argv[3])
    job(number)


if __name__ == "__main__":
    globals()[sys.argv[1]](multiprocessing.get_context(sys.argv[2]))
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    (path := tmp_path / "program.py").write_text(PROGRAM)
    return path


def run(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(program), *arguments], capture_output=True, text=True, timeout=60, check=True)


def searches(received: Receiver) -> int:
    """The last count of each process, which its start tells apart: it is exported again and again."""
    return sum({point.start_time_unix_nano: point.count for point in received.points[SEARCHES]}.values())


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("kind", ["process", "process_that_fails", "executor", "recycled_pool", "configured_late"])
def test_all_that_three_jobs_record_arrives(kind: str, method: str, program: Path, received: Receiver) -> None:
    result = run(program, kind, method, received.address)

    assert sorted(span.name for span in received.spans) == ["job 0", "job 1", "job 2"]
    assert sorted(received.bodies) == ["job 0", "job 1", "job 2"]
    assert searches(received) == 3
    assert result.stderr == ""


ENDS = {
    "at its end": "",
    "by an exception": "1 / 0",
    "by sys.exit": "sys.exit(3)",
    "by sys.exit in a thread": "threading.Thread(target=sys.exit).start()",
    "by os._exit": "os._exit(0)",
    "by os._exit in a fork of its own": "os.fork() or job(3)\nos._exit(0)",
}


@pytest.mark.parametrize("end", ENDS)
def test_what_a_script_records_arrives_however_it_ends(end: str, received: Receiver, tmp_path: Path) -> None:
    (tmp_path / "jobs.py").write_text(
        PROGRAM.replace('if sys.argv[1] != "configured_late":\n    otel', "otel").replace("[3]", "[1]")
    )
    script = "import os, sys, threading\nfrom jobs import job\nfor number in range(3): job(number)\n" + ENDS[end]
    command = [sys.executable, "-c", script, received.address]
    subprocess.run(command, capture_output=True, timeout=60, check=False, env={**os.environ, "PYTHONPATH": str(tmp_path)})

    expected = 4 if "fork" in end else 3
    assert sorted(received.bodies) == [f"job {number}" for number in range(expected)]
    assert searches(received) == expected


def test_a_child_ends_within_the_deadline_where_no_one_listens(program: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        result = run(program, "process", "fork", f"http://127.0.0.1:{deaf.getsockname()[1]}")

    assert result.returncode == 0  # within the time-out of the test: four processes, 3 s each


def test_what_a_process_flushes_arrives_though_it_is_killed_then(received: Receiver) -> None:
    program = """
import os, signal, sys
import otel_tutor
from otel_tutor.monitoring import metrics_collector
otel_tutor.configure(endpoint=sys.argv[1])
metrics_collector.track_rag_query("physics", 0.1, 3)
print(otel_tutor.flush(timeout=30))
os.kill(os.getpid(), signal.SIGKILL)
"""
    command = [sys.executable, "-c", program, received.address]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert result.stdout == "True\n"
    assert [point.as_double for point in received.points["rag.queries"]] == [1]


def test_a_flush_returns_in_time_where_no_one_listens() -> None:
    program = """
import otel_tutor
from otel_tutor.monitoring import metrics_collector
print(otel_tutor.flush())
otel_tutor.configure(endpoint="http://127.0.0.1:9")
metrics_collector.track_rag_query("physics", 0.1, 3)
print(otel_tutor.flush(timeout=0.2))
print(otel_tutor.flush(timeout=float("inf")))
try:
    otel_tutor.flush(timeout="soon")
except otel_tutor.ConfigurationError as error:
    print(error)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert result.stdout.splitlines() == [
        "True",
        "False",
        "True",
        "timeout='soon' is not a number of seconds from 0: pass e.g. 3.0",
    ]


def test_the_console_shows_what_it_is_given_and_the_collector_gets_it_too(received: Receiver) -> None:
    program = """
import sys
import otel_tutor
from otel_tutor.tracing import trace_operation
otel_tutor.configure(endpoint=sys.argv[1])
with trace_operation("lesson"):
    pass
otel_tutor.flush(timeout=30)
"""
    command = [sys.executable, "-c", program, received.address]
    environment = {**os.environ, "OTEL_TRACES_EXPORTER": "console,otlp"}
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment)

    assert '"name": "lesson"' in result.stdout
    assert [span.name for span in received.spans] == ["lesson"]


def test_a_thread_ends_the_process_though_another_one_is_at_configure() -> None:
    program = """
import os, threading
import otel_tutor
from otel_tutor.recording.state import state
otel_tutor.configure(endpoint="http://127.0.0.1:1")
held = threading.Event()
def hold():
    with state.lock:
        held.set()
        threading.Event().wait()
threading.Thread(target=hold, daemon=True).start()
held.wait()
threading.Thread(target=os._exit, args=(7,)).start()
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 7
