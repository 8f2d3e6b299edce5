"""The real stack, on ports of its own, with the real tutor."""

import itertools
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from otel_tutor.tools.exercise.tutor_program import tutor_program
from otel_tutor.tools.stack.backends import Backends
from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.native.stack import Stack
from otel_tutor.tools.stack.ports import DEFAULTS


@dataclass(frozen=True)
class Running:
    """A stack with a tutor of two workers under observation."""

    stack: Stack
    backends: Backends
    app: str
    otlp: str

    def pid(self, name: str) -> int:
        (found,) = [program.pid for program in self.stack.status() if program.name == name]
        assert found is not None
        return found


@pytest.fixture
def free_ports() -> dict[str, int]:
    return unused_ports()


def unused_ports() -> dict[str, int]:
    """A port nobody listens on for every name."""
    return {name: next(_ports) for name in DEFAULTS}


_RANGE: Final = 2900  # ports of a worker; the kernel's for clients begin at 32768


def _free_ports() -> Iterator[int]:
    """Each once, below those that the kernel gives to clients, and apart from those of tests that run at the same time."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 15000 + _RANGE * (worker % 6)
    start = os.getpid() * 101 % _RANGE  # two runs of the tests on one machine rarely ask for the same
    for number in (first + (start + step) % _RANGE for step in itertools.count()):
        with socket.socket() as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(("127.0.0.1", number))
            except OSError:
                continue
        yield number


_ports = _free_ports()


@pytest.fixture(scope="module")
def running(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    data: Path = tmp_path_factory.mktemp("stack")
    ports, stack = unused_ports(), Stack(data)
    stack.up(binaries, ports, extra=[tutor_program(data, ports)], leashed=True)
    try:
        with Backends(ports) as backends:
            app, otlp = (f"http://127.0.0.1:{ports[name]}" for name in ("app", "otlp"))
            yield Running(stack, backends, app, otlp)
    finally:
        stack.down()
    assert stack.supervisor.processes_left() == []
