"""Each request that a server answers is counted once and has one span, whatever server it is and however it ends."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from otel_tutor.tools.stack.polling import wait_for
from otel_tutor.tools.stack.ports import LOOPBACK
from tests.support.ports import unused_ports
from tests.support.receiver import Receiver, values

pytestmark = pytest.mark.servers

REQUESTS = 60
APP = """
import otel_tutor
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

async def hello(request):
    return PlainTextResponse("hello")

app = Starlette(routes=[Route("/hello", hello)])
otel_tutor.configure(app)
"""
# The server's arguments after `python -m`, with {port} for the port to listen on.
SERVERS = {
    "uvicorn": ["uvicorn", "lessons:app", "--port", "{port}"],
    "uvicorn, two workers": ["uvicorn", "lessons:app", "--port", "{port}", "--workers", "2"],
    "uvicorn, reloading": ["uvicorn", "lessons:app", "--port", "{port}", "--reload"],
    "gunicorn, preloaded": ["gunicorn", "lessons:app", "-k", "asgi", "-b", "127.0.0.1:{port}", "-w", "2", "--preload"],
    "gunicorn, recycled": [
        "gunicorn",
        "lessons:app",
        "-k",
        "asgi",
        "-b",
        "127.0.0.1:{port}",
        "-w",
        "2",
        "--max-requests",
        "9",
    ],
    "hypercorn": ["hypercorn", "lessons:app", "-b", "127.0.0.1:{port}"],
    "hypercorn, two workers": ["hypercorn", "lessons:app", "-b", "127.0.0.1:{port}", "-w", "2"],
    "hypercorn, trio": ["hypercorn", "lessons:app", "-b", "127.0.0.1:{port}", "-k", "trio"],
    "granian": ["granian", "lessons:app", "--interface", "asgi", "--port", "{port}"],
    "granian, two workers": ["granian", "lessons:app", "--interface", "asgi", "--port", "{port}", "--workers", "2"],
}


@contextmanager
def serving(python: Path, arguments: list[str], folder: Path, arrived: Receiver) -> Iterator[str]:
    """The address of an app that this server serves; the server is told to stop as the block ends, and ends in time."""
    (folder / "lessons.py").write_text(APP)
    port = next(iter(unused_ports().values()))
    command = [str(python), "-m", *(argument.format(port=port) for argument in arguments)]
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": arrived.address, "OTEL_METRIC_EXPORT_INTERVAL": "3600000"}
    with (
        (folder / "server.log").open("w") as log,
        subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log) as server,
    ):
        try:
            yield f"http://{LOOPBACK}:{port}"
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=60)


def answers(address: str) -> bool:
    try:
        return httpx2.get(f"{address}/nothing", trust_env=False).status_code == 404
    except httpx2.TransportError:
        return False


@pytest.mark.parametrize("name", SERVERS)
def test_what_a_server_answered_is_what_is_counted(name: str, python: Path, tmp_path: Path, arrived: Receiver) -> None:
    with serving(python, SERVERS[name], tmp_path, arrived) as address:
        assert wait_for(lambda: answers(address), bool, seconds=30)
        answered = [httpx2.get(f"{address}/hello", trust_env=False).status_code for _ in range(REQUESTS)]

    assert answered == [200] * REQUESTS
    points = [point for point in arrived.points["http.server.request.duration"] if "http.route" in values(point)]
    counts = {point.start_time_unix_nano: point.count for point in points}  # the last of each process
    assert sum(counts.values()) == REQUESTS
    assert [span.name for span in arrived.spans].count("GET /hello") == REQUESTS
