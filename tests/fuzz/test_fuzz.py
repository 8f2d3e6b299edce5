"""The short form of `make fuzz`: a few seconds with a fixed seed."""

import subprocess
import sys
from pathlib import Path

import pytest


def start(repository: Path, *command: str) -> str:
    """What a part of the fuzz prints; each has a process of its own, since it configures one."""
    result = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, timeout=240, check=False, cwd=repository
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout


@pytest.mark.memory
def test_calls_with_any_values_raise_nothing_and_stop_no_export(repository: Path) -> None:
    assert '"findings": {}' in start(repository, "tests.fuzz.run", "--calls", "5000", "--seed", "7")


@pytest.mark.memory
def test_requests_of_any_kind_are_answered_as_without_telemetry(repository: Path) -> None:
    assert "answered" in start(repository, "tests.fuzz.requests", "2000", "7")


@pytest.mark.processes
@pytest.mark.parametrize(
    ("kind", "tries"), [("signal", 1000), ("finaliser", 500), ("weakref", 300), ("fork", 20), ("exit", 5)]
)
def test_what_interrupts_a_recording_may_record(repository: Path, kind: str, tries: int) -> None:
    assert f"'kind': '{kind}'" in start(repository, "tests.fuzz.interruptions", kind, str(tries))
