"""The shorter timers of a drill, in the shipped alerts as a stack has them."""

import re
from pathlib import Path

import pytest

from otel_tutor.errors import StackError
from otel_tutor.settings import shipped_config_dir
from otel_tutor.tools.exercise.environment import shorten_timers
from otel_tutor.tools.stack.configuration import render_config
from otel_tutor.tools.stack.ports import DEFAULTS


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    render_config(shipped_config_dir(), tmp_path, DEFAULTS)
    return tmp_path


def test_every_timer_of_the_alerts_is_short(configuration: Path) -> None:
    shorten_timers(configuration)
    rules = "".join(path.read_text(encoding="utf-8") for path in (configuration / "alerts" / "rules").glob("*.yaml"))
    waits = re.findall(r"(?m)^\s+for: (\S+)", rules)

    assert len(waits) > 10
    assert {wait for wait in waits if not re.fullmatch(r"\d+s", wait)} == set()
    assert "student_questions_total[30m]" not in rules
    routes = (configuration / "alerts" / "alertmanager.yaml").read_text(encoding="utf-8")
    assert "group_interval: 5s" in routes
    assert "active_time_intervals" not in routes  # a drill does not wait for the school to open


@pytest.mark.parametrize(
    ("file", "timer"),
    [("rules/tutor.yaml", "offset 30m"), ("rules/tutor.yaml", "> 1800"), ("alertmanager.yaml", "repeat_interval: 1m")],
)
def test_a_timer_that_is_not_there_fails_the_drill(configuration: Path, file: str, timer: str) -> None:
    path = configuration / "alerts" / file
    path.write_text(path.read_text(encoding="utf-8").replace(timer, "never"), encoding="utf-8")

    with pytest.raises(StackError, match=rf"alerts/{file} has no .* to shorten"):
        shorten_timers(configuration)
