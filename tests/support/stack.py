"""The real stack on unused ports, with the real tutor: the fixture `running`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2
import pytest

from otel_tutor.tools.stack.backends import Backends
from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.native.stack import NativeStack
from tests.support.ports import unused_ports

__all__ = ["APP_AND_PAGE", "PAGE", "Running", "operations"]

# What a test may leave out.
APP_AND_PAGE: Final = ("tutor", "grafana")
PAGE: Final = ("grafana",)


@dataclass(frozen=True)
class Running:
    """A stack with a tutor of two workers under observation."""

    stack: NativeStack
    backends: Backends
    app: str
    otlp: str

    def pid(self, name: str) -> int:
        (pid,) = [program.pid for program in self.stack.status() if program.name == name]
        assert pid is not None
        return pid


def operations(backends: Backends, service: str) -> list[str]:
    """The names of the spans that Jaeger has of a service."""
    answer = httpx2.get(f"{backends.jaeger}/api/services/{service}/operations", trust_env=False)
    return list(answer.json()["data"] or ())


@pytest.fixture
def free_ports() -> dict[str, int]:
    return unused_ports()


@pytest.fixture(scope="module")
def running(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    data: Path = tmp_path_factory.mktemp("stack")
    ports, stack = unused_ports(), NativeStack(data, binaries=binaries, die_with_parent=True)
    stack.up(ports, without=PAGE)
    try:
        with Backends(ports) as backends:
            app, otlp = (f"http://127.0.0.1:{ports[name]}" for name in ("app", "otlp"))
            yield Running(stack, backends, app, otlp)
    finally:
        stack.down()
    assert stack.supervisor.processes_left() == []
