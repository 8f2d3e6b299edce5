"""The command line as a user runs it: a process, its output and its exit code. The fixture `run` starts it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import psutil
import pytest

from otel_tutor.tools.stack.native.supervision import STACK_ENV
from otel_tutor.tools.stack.ports import variable
from tests.support.ports import unused_ports

__all__ = ["Run", "left_running", "one_line"]

_STARTS: Final = {"up", "restart", "demo", "drill"}

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
    started = False

    def execute(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        nonlocal started
        started = started or arguments[0] in _STARTS
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
    if started:
        execute("down")
        assert left_running(environment) == []


def left_running(environment: dict[str, str]) -> list[psutil.Process]:
    """Processes of any stack below the test's data folder."""
    processes = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(STACK_ENV, "").startswith(environment["OTEL_TUTOR_DATA"]):
                processes.append(process)
        except (psutil.Error, OSError):
            continue
    return processes


def one_line(text: str) -> str:
    """The text, having made sure that it is one actionable line of the command."""
    (line,) = text.strip().splitlines()
    assert line.startswith("otel-tutor: ")
    return line
