"""What jobs record arrives, each once, whatever runs them: workers that fork, are recycled, or are told to stop."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_tutor.tools.stack.polling import wait_for
from otel_tutor.tools.stack.ports import LOOPBACK
from tests.support.ports import unused_ports
from tests.support.receiver import Receiver

pytestmark = pytest.mark.servers

JOBS = 20
JOB = """
import logging, os
import otel_tutor
from otel_tutor.monitoring import metrics_collector
from otel_tutor.tracing import trace_operation

def work(number):
    with trace_operation(f"job {number}"):
        metrics_collector.track_vector_search("passages", 0.01)
        logging.getLogger("app").warning("job %d", number)

if os.environ["CONFIGURED"] == "at import":
    otel_tutor.configure()
"""
CELERY = """
import os
from celery import Celery
from celery.signals import worker_process_init
from celery.utils.log import get_task_logger
import otel_tutor
import jobs

folder = os.environ["QUEUE"]
folders = {"data_folder_in": folder, "data_folder_out": folder, "control_folder": folder + "/control"}
app = Celery("tasks", broker="filesystem://", broker_transport_options=folders)
log = get_task_logger(__name__)

if os.environ["CONFIGURED"] == "by signal":
    worker_process_init.connect(lambda **_: otel_tutor.configure(), weak=False)

@app.task
def job(number):
    jobs.work(number)
    log.info("celery job %d", number)
"""
SCHEDULER = """
import time
from apscheduler.schedulers.background import BackgroundScheduler
import jobs

scheduler = BackgroundScheduler()
for number in range(20):
    scheduler.add_job(jobs.work, args=[number])
scheduler.start()
while scheduler.get_jobs():
    time.sleep(0.01)
scheduler.shutdown()
"""


@pytest.fixture
def environ(tmp_path: Path, arrived: Receiver) -> dict[str, str]:
    """Variables of programs whose modules are in the folder of the test; nothing is exported before they end."""
    (tmp_path / "jobs.py").write_text(JOB)
    (tmp_path / "queue" / "control").mkdir(parents=True)
    return {
        **os.environ,
        "CONFIGURED": "at import",
        "OTEL_EXPORTER_OTLP_ENDPOINT": arrived.address,
        "OTEL_METRIC_EXPORT_INTERVAL": "3600000",
        "PYTHONPATH": str(tmp_path),
        "QUEUE": str(tmp_path / "queue"),
    }


def assert_each_arrived_once(arrived: Receiver, jobs: int = JOBS) -> None:
    names = sorted(f"job {number}" for number in range(jobs))
    assert sorted(span.name for span in arrived.spans if span.name.startswith("job")) == names
    assert sorted(body for body in arrived.bodies if body.startswith("job")) == names
    points = arrived.points["vector_store.search.duration"]
    assert sum({point.start_time_unix_nano: point.count for point in points}.values()) == jobs


@pytest.mark.parametrize(
    ("options", "configured"),
    [
        (["--pool", "prefork", "--concurrency", "2"], "at import"),
        (["--pool", "prefork", "--concurrency", "2"], "by signal"),
        (["--pool", "prefork", "--concurrency", "2", "--max-tasks-per-child", "5"], "at import"),
        (["--pool", "threads", "--concurrency", "2"], "at import"),
        (["--pool", "solo"], "at import"),
    ],
)
def test_celery_jobs_arrive_though_the_worker_is_stopped(
    options: list[str], configured: str, python: Path, environ: dict[str, str], tmp_path: Path, arrived: Receiver
) -> None:
    (tmp_path / "tasks.py").write_text(CELERY)
    environ["CONFIGURED"] = configured
    ask = f"import tasks\nfor number in range({JOBS}): tasks.job.delay(number)"
    subprocess.run([python, "-c", ask], env={**environ, "OTEL_SDK_DISABLED": "true"}, check=True, timeout=60)
    command = [str(python), "-m", "celery", "-A", "tasks", "worker", "--loglevel", "INFO", *options]
    log = tmp_path / "worker.log"
    with log.open("w") as output, subprocess.Popen(command, env=environ, stdout=output, stderr=output) as worker:
        wait_for(lambda: log.read_text().count("succeeded in"), lambda done: done >= JOBS, seconds=60)
        worker.send_signal(signal.SIGTERM)
        worker.wait(timeout=60)

    assert_each_arrived_once(arrived)
    lines = [record for record in arrived.log_records if record.body.string_value.startswith("celery job")]
    assert sorted(record.body.string_value for record in lines) == sorted(f"celery job {number}" for number in range(JOBS))
    assert log.read_text().count("celery job ") == JOBS  # the console has what it had


@pytest.fixture
def redis() -> Iterator[str]:
    port = next(iter(unused_ports().values()))
    command = ["redis-server", "--port", str(port), "--bind", LOOPBACK, "--save", "", "--appendonly", "no"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        yield f"redis://{LOOPBACK}:{port}"
        server.terminate()


def test_rq_jobs_arrive_from_their_forks(python: Path, environ: dict[str, str], arrived: Receiver, redis: str) -> None:
    ask = f"""
import time, redis, rq, jobs
connection = redis.Redis.from_url("{redis}")
while True:
    try:
        connection.ping()
        break
    except redis.ConnectionError:
        time.sleep(0.05)
queue = rq.Queue(connection=connection)
for number in range({JOBS}):
    queue.enqueue(jobs.work, number)
"""
    subprocess.run([python, "-c", ask], env={**environ, "OTEL_SDK_DISABLED": "true"}, check=True, timeout=60)
    work = f"import jobs, rq.cli; rq.cli.main(['worker', '--burst', '--url', '{redis}'])"
    subprocess.run([python, "-c", work], env=environ, timeout=120, check=False, capture_output=True)

    assert_each_arrived_once(arrived)


def test_scheduled_jobs_arrive(python: Path, environ: dict[str, str], arrived: Receiver) -> None:
    subprocess.run([python, "-c", SCHEDULER], env=environ, check=True, timeout=60)

    assert_each_arrived_once(arrived)


NOTEBOOK = """
import nbclient, nbformat
cells = [
    "import jobs, otel_tutor",
    "otel_tutor.configure()",  # as a cell is run again
    "otel_tutor.configure()",
    "for number in range(20): jobs.work(number)",
]
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
nbclient.NotebookClient(notebook, kernel_name="python3").execute()
"""


def test_cells_of_a_notebook_arrive_when_the_kernel_shuts_down(
    python: Path, environ: dict[str, str], arrived: Receiver
) -> None:
    subprocess.run([python, "-m", "ipykernel", "install", "--sys-prefix"], check=True, timeout=60, capture_output=True)
    subprocess.run([python, "-c", NOTEBOOK], env=environ, check=True, timeout=120)

    wait_for(lambda: len(arrived.spans), lambda number: number >= JOBS, seconds=10)
    assert_each_arrived_once(arrived)


FROZEN = """
import sys
import jobs, otel_tutor
for number in range(20):
    jobs.work(number)
    if number == 9:
        print(otel_tutor.flush(timeout=30), flush=True)
        sys.stdin.readline()
"""


def test_what_was_flushed_has_arrived_before_a_process_is_frozen(
    python: Path, environ: dict[str, str], arrived: Receiver, tmp_path: Path
) -> None:
    """As a function's process is, between two requests: nothing arrives twice afterwards, and the rest does."""
    command = [python, "-c", FROZEN]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environ, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout.readline() == "True\n"
        process.send_signal(signal.SIGSTOP)
        assert len(arrived.spans) == 10
        time.sleep(0.5)
        process.send_signal(signal.SIGCONT)
        process.communicate("\n", timeout=60)

    assert_each_arrived_once(arrived)
