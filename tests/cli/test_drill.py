"""`otel-tutor drill` and `otel-tutor slo` as a user runs them."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.polling import wait_for
from tests.support.command import Run, one_line
from tests.support.stack import Running


@pytest.mark.timeout(900)
def test_a_drill_sees_its_alert_fire_and_resolve(
    binaries: Binaries, command: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    arguments = [*command, "drill", "LargeSyncQueue"]
    answer = subprocess.run(arguments, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)

    assert answer.returncode == 0, answer.stdout + answer.stderr
    *_, row = answer.stdout.strip().splitlines()
    name, fault, fired, resolved, _ = (cell.strip() for cell in row.strip("|").split("|"))
    assert (name, fault) == ("LargeSyncQueue", "the central database refuses records")
    assert int(fired.removesuffix(" s")) > 0
    assert int(resolved.removesuffix(" s")) > 0


def test_drills_are_listed_and_others_refused_with_the_reason(run: Run) -> None:
    listed = run("drill")
    assert listed.returncode == 0
    assert "the model fails" in listed.stdout

    unknown, impossible = run("drill", "HighTide"), run("drill", "LowDiskSpace")
    assert (unknown.returncode, impossible.returncode) == (2, 2)
    assert "is no alert with a drill" in one_line(unknown.stderr)
    assert "it would fill the disk" in one_line(impossible.stderr)


def test_without_a_stack_there_are_no_objectives_to_show(run: Run) -> None:
    answer = run("slo")

    assert answer.returncode == 1
    assert "the stack is not running: start it with `otel-tutor up`" in one_line(answer.stderr)


def test_objectives_are_shown_with_what_is_left_of_their_budgets(running: Running, command: list[str]) -> None:
    environment = {**os.environ, "OTEL_TUTOR_DATA": str(running.stack.data), "COLUMNS": "120"}

    def shown() -> str:
        return subprocess.run([*command, "slo"], capture_output=True, text=True, check=False, env=environment).stdout

    complete: Callable[[str], bool] = lambda text: "Processors" in text and text.count("tutor") >= 3  # noqa: E731
    text = wait_for(shown, complete, seconds=90)
    rows = {line[:22].strip(): line[22:].split() for line in text.splitlines()[1:]}
    assert rows["Uptime"][:2] == ["tutor", "99.9%"]
    assert rows["Processors"][1] == "99.0%"
    assert len(rows) == 7
