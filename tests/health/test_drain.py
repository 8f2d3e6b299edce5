"""A process that gets SIGTERM is not ready, before its server stops listening."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import httpx2
import pytest

from otel_tutor.errors import ConfigurationError
from otel_tutor.health import HealthService, drain_on_sigterm

PROGRAM = """
import contextlib, sys
import uvicorn
from starlette.applications import Starlette
from otel_tutor.health import drain_on_sigterm, health_routes

@contextlib.asynccontextmanager
async def lifespan(_):
    assert drain_on_sigterm(delay=float(sys.argv[2]))
    yield
    print("lifespan ended", flush=True)

app = Starlette(lifespan=lifespan, routes=health_routes())
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
"""


@pytest.fixture
def received() -> Iterator[list[int]]:
    """The signals that reach the handler a server would have set."""
    numbers: list[int] = []

    def handler(number: int, _: FrameType | None) -> None:
        numbers.append(number)

    before = signal.signal(signal.SIGTERM, handler)
    yield numbers
    signal.signal(signal.SIGTERM, before)


def is_ready(service: HealthService) -> bool:
    return bool(asyncio.run(service.check_readiness())["ready"])


def probe(port: int) -> int | None:
    """The status of one readiness probe over its own connection; None when the port is closed."""
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/health/ready", timeout=1).status_code
    except httpx2.TransportError:
        return None


def probe_until(port: int, last: int | None) -> list[int | None]:
    """Every status up to and including `last`; a minute is long enough for any machine."""
    deadline, seen = time.monotonic() + 60, [probe(port)]
    while seen[-1] != last:
        assert time.monotonic() < deadline, seen
        time.sleep(0.01)
        seen.append(probe(port))
    return seen


@contextmanager
def serve(tmp_path: Path, delay: float) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """A server that answers, with its port."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    server = subprocess.Popen([sys.executable, str(program), str(port), str(delay)], stdout=subprocess.PIPE, text=True)
    try:
        probe_until(port, 200)
        yield server, port
    finally:
        server.kill()
        server.communicate()


@pytest.mark.processes
def test_probes_of_a_real_server_see_503_before_its_port_closes(tmp_path: Path) -> None:
    with serve(tmp_path, delay=600) as (server, port):
        server.send_signal(signal.SIGTERM)
        draining = probe_until(port, 503)
        server.send_signal(signal.SIGTERM)  # an operator who does not want to wait
        closing = probe_until(port, None)
        output, _ = server.communicate(timeout=60)

    assert set(draining) <= {200, 503}
    assert set(closing) <= {503, None}
    assert output == "lifespan ended\n"
    assert server.returncode == -signal.SIGTERM  # as uvicorn ends on its own


@pytest.mark.processes
def test_a_real_server_ends_by_itself_after_the_delay(tmp_path: Path) -> None:
    with serve(tmp_path, delay=0.2) as (server, port):
        server.send_signal(signal.SIGTERM)
        ending = probe_until(port, None)
        output, _ = server.communicate(timeout=60)

    assert [status for status, before in zip(ending[1:], ending, strict=False) if (before, status) == (503, 200)] == []
    assert output == "lifespan ended\n"


def test_without_a_delay_the_signal_goes_on_at_once(received: list[int]) -> None:
    service = HealthService()
    assert drain_on_sigterm(service)
    assert is_ready(service)
    os.kill(os.getpid(), signal.SIGTERM)

    assert not is_ready(service)
    assert received == [signal.SIGTERM]


def test_a_second_signal_ends_the_wait_and_comes_through_once(received: list[int]) -> None:
    async def end() -> None:
        assert drain_on_sigterm(HealthService(), delay=0.1)
        signal.raise_signal(signal.SIGTERM)
        assert received == []
        signal.raise_signal(signal.SIGTERM)
        assert received == [signal.SIGTERM]
        await asyncio.sleep(0.15)

    asyncio.run(end())
    assert received == [signal.SIGTERM]


def test_installed_twice_it_waits_once(received: list[int]) -> None:
    service = HealthService()
    drain_on_sigterm(service)
    handler = signal.getsignal(signal.SIGTERM)

    assert drain_on_sigterm(service)
    assert signal.getsignal(signal.SIGTERM) is handler


def test_outside_the_main_thread_nothing_is_installed(received: list[int]) -> None:
    before, told = signal.getsignal(signal.SIGTERM), []
    thread = threading.Thread(target=lambda: told.append(drain_on_sigterm(HealthService())))
    thread.start()
    thread.join()

    assert told == [False]
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("delay", [-1, float("nan"), 3601, 5])
def test_a_delay_that_no_one_can_wait_for_is_refused(received: list[int], delay: float) -> None:
    with pytest.raises(ConfigurationError, match=f"delay={delay}"):
        drain_on_sigterm(HealthService(), delay=delay)


@pytest.mark.processes
def test_without_a_server_the_process_still_ends() -> None:
    program = "import signal; from otel_tutor.health import *; drain_on_sigterm(); signal.raise_signal(15); print('alive')"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)

    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGTERM, "", "")
