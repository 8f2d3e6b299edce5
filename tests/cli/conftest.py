"""The command line as a user runs it: a process, its output and its exit code."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from otel_tutor.tools.stack.native.supervision import MARK
from otel_tutor.tools.stack.ports import variable
from tests.stack.conftest import running, unused_ports

__all__ = ["running"]

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def ports() -> dict[str, int]:
    return unused_ports()


@pytest.fixture
def environment(tmp_path: Path, ports: dict[str, int]) -> dict[str, str]:
    moved = {variable(name): str(number) for name, number in ports.items()}
    return {**os.environ, "OTEL_TUTOR_DATA": str(tmp_path / "my data, 100 %"), **moved}


@pytest.fixture
def command() -> list[str]:
    return [sys.executable, "-m", "otel_tutor"]


@pytest.fixture
def run(command: list[str], environment: dict[str, str], tmp_path: Path) -> Iterator[Run]:
    def execute(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            env={**environment, **environ},
        )

    yield execute
    execute("down")
    assert left_running(environment) == []


def left_running(environment: dict[str, str]) -> list[psutil.Process]:
    """Processes of any stack below the test's data folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK, "").startswith(environment["OTEL_TUTOR_DATA"]):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found
