"""The real stack, on ports of its own, with the real tutor."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from otel_tutor.demo.tutor_program import tutor_program
from otel_tutor.stack.backends import Backends
from otel_tutor.stack.build import Binaries
from otel_tutor.stack.ports import DEFAULTS
from otel_tutor.stack.stack import Stack


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
    """A port nobody listens on for every name; all are held until all are known, so that none is given twice."""
    with ExitStack() as held:
        sockets = {name: held.enter_context(socket.socket()) for name in DEFAULTS}
        for one in sockets.values():
            one.bind(("127.0.0.1", 0))
        return {name: one.getsockname()[1] for name, one in sockets.items()}


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
