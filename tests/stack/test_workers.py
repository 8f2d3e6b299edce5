"""Workers that are forked, preloaded and replaced: every request is counted once, and no gauge twice."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import psutil
import pytest

from otel_tutor.tools.stack.polling import wait_for
from tests.support.ports import unused_ports
from tests.support.stack import Running

REQUESTS, RESTARTS = 1000, 2

APP = """
import os
import otel_tutor
from otel_tutor.monitoring import metrics_collector
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

async def answer(request):
    metrics_collector.set_active_sessions(1)  # one in each worker
    return PlainTextResponse(str(os.getpid()))

app = Starlette(routes=[Route("/", answer)])
otel_tutor.configure(app)
"""

SERVERS = {
    "gunicorn": (
        ["gunicorn", "--preload", "--workers=4", "--worker-class=asgi", "--bind=127.0.0.1:{port}", "served:app"],
        4,
    ),
    "uvicorn": (["uvicorn", "--workers=2", "--port={port}", "served:app"], 2),
}


@contextmanager
def serve(name: str, folder: Path, port: int, endpoint: str) -> Iterator[None]:
    (folder / "served.py").write_text(APP, encoding="utf-8")
    arguments = [argument.format(port=port) for argument in SERVERS[name][0]]
    environment = {
        **os.environ,
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_SERVICE_NAME": name,
        "PYTHONPATH": str(folder),
    }
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", *arguments], cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            wait_for(lambda: get(port), bool, seconds=30)
            yield
        finally:
            children = psutil.Process(server.pid).children(recursive=True)
            server.terminate()
            server.wait(30)
            assert psutil.wait_procs(children, timeout=10)[1] == []


def get(port: int) -> int | None:
    """The worker that answered, on a new connection; None when none did."""
    try:
        return int(httpx2.get(f"http://127.0.0.1:{port}/", trust_env=False, timeout=10).text)
    except (httpx2.TransportError, ValueError):
        return None


class Load:
    """Requests that were answered, by worker."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.answers: list[int] = []

    def send(self, requests: int) -> None:
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda _: self._until_answered(), range(requests)))
        self.answers += [answer for answer in answers if answer is not None]

    def _until_answered(self) -> int | None:
        return wait_for(lambda: get(self._port), bool, seconds=10)  # a worker that is replaced refuses

    def until_seen(self, workers: int, *, without: set[int]) -> set[int]:
        """Ask until so many different workers have answered, none of them one of `without`."""
        seen: set[int] = set()

        def ask() -> set[int]:
            self.send(4)
            seen.update(set(self.answers[-4:]) - without)
            return seen

        return wait_for(ask, lambda answered: len(answered) >= workers, seconds=30)


def total(running: Running, job: str) -> int:
    """All counts of a job, those of workers that were replaced included: every step up of every series."""
    parameters = {"query": f'http_requests_total{{job="{job}"}}[15m]'}
    answer = httpx2.get(f"{running.backends.prometheus}/api/v1/query", params=parameters).json()["data"]["result"]
    steps = 0.0
    for series in answer:
        before = 0.0
        for _, text in series["values"]:
            value = float(text)
            steps += value - before if value >= before else value  # a replaced worker starts at zero
            before = value
    return round(steps)


@pytest.mark.parametrize("name", SERVERS)
def test_counts_are_exact_and_gauges_single_over_restarts(running: Running, tmp_path: Path, name: str) -> None:
    port, workers = unused_ports()["app"], SERVERS[name][1]
    with serve(name, tmp_path, port, running.otlp):
        load = Load(port)
        load.answers.append(0)  # what answered when it was ready
        first = load.until_seen(workers, without={0})
        load.send(400)
        gone = set(sorted(first)[:RESTARTS])
        for pid in gone:
            os.kill(pid, signal.SIGTERM)
        assert psutil.wait_procs([psutil.Process(pid) for pid in gone if psutil.pid_exists(pid)], timeout=20)[1] == []
        assert len(load.until_seen(workers, without={0, *gone})) == workers
        load.send(REQUESTS - len(load.answers))

        assert len(load.answers) == REQUESTS
        assert wait_for(lambda: total(running, name), lambda seen: seen == REQUESTS, seconds=40) == REQUESTS
        sessions = [sample.value for sample in running.backends.query(f'student_sessions_active{{job="{name}"}}')]
        assert sessions == [1] * workers
        assert sum(s.value for s in running.backends.query(f'http_requests_in_progress{{job="{name}"}}')) == 0
    log = (tmp_path / "log").read_text(encoding="utf-8")
    assert re.findall("Traceback|Exception", log) == []
