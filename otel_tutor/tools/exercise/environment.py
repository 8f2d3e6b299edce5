"""Where a drill takes place: a separate stack and tutor under load, whose alerts wait for a shorter time than usual."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2

from otel_tutor.errors import StackError
from otel_tutor.tools.stack.native.stack import NativeStack
from otel_tutor.tools.stack.ports import page_url

__all__ = ["DrillEnvironment", "shorten_timers", "students"]

_SHORTER: Final = 30  # `for: 5m` is 10 s in a drill
_SHORTEST: Final = 5  # seconds; a scrape that failed once is no outage, not even in a drill
_STUDENTS: Final = 4
_PAUSE: Final = 0.2  # seconds; a load that leaves the processors alone
_FOR: Final = r"(?m)^(\s+for: )(\d+[smh])"
# By file of alerts/: the half hour of NoStudentActivity, the grouping of warnings, the dead man's switch, school hours.
_TIMERS: Final[Mapping[str, Sequence[tuple[str, str]]]] = {
    "rules/tutor.yaml": (
        (r"\(process_uptime_seconds\) > 1800", "(process_uptime_seconds) > 60"),
        (r"increase\(student_questions_total\[30m\]\)", "increase(student_questions_total[1m])"),
        (r"student_questions_total offset 30m", "student_questions_total offset 1m"),
    ),
    "alertmanager.yaml": (
        (r"(group_wait|group_interval): (5m|1m)", r"\1: 5s"),
        (r"repeat_interval: 1m\b", "repeat_interval: 15s"),
        (r"(?m)^ +active_time_intervals: \[.*\n", ""),  # a drill at night is notified
    ),
}


@dataclass(frozen=True, slots=True)
class DrillEnvironment:
    """Where a drill takes place."""

    stack: NativeStack
    ports: Mapping[str, int]
    load: subprocess.Popen[bytes]

    @property
    def configuration(self) -> Path:
        """The copy that this stack's components read."""
        return self.stack.config_dir

    def notified(self, alert: str, status: str, labels: Mapping[str, str]) -> bool:
        """Whether the last notification of this alert has that status; `resolved` is asked of all its series."""
        wanted = {"alertname": alert, **labels}.items()
        last = {
            tuple(sorted(series["labels"].items())): series["status"]
            for series in self.notifications()
            if series["labels"].items() >= wanted
        }
        return bool(last) and (status in last.values() if status == "firing" else set(last.values()) == {status})

    def notifications(self) -> list[dict[str, Any]]:
        """Every alert of every notification, in the order in which they came."""
        notifications = httpx2.get(page_url(("pager", "/notifications"), self.ports), trust_env=False).json()
        return [alert for notification in notifications for alert in notification["alerts"]]


@contextmanager
def students(app: str) -> Iterator[subprocess.Popen[bytes]]:
    """A load of a few students, without an end."""
    command = [sys.executable, "-m", "otel_tutor.tools.exercise.load", app, str(_STUDENTS), str(_PAUSE)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def shorten_timers(configuration: Path) -> None:
    """Make each `for`, the grouping, and the half hour of NoStudentActivity shorter, in a copy of the configuration.

    Alerts are notified at any hour.

    Raises StackError for a timer that is not there as it was shipped: the drill would wait in vain.
    """
    alerts = configuration / "alerts"
    for path in (alerts / "rules").glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(_FOR, lambda match: match[1] + _shorter(match[2]), text), encoding="utf-8")
    for file, timers in _TIMERS.items():
        text = (alerts / file).read_text(encoding="utf-8")
        for pattern, shorter in timers:
            text, count = re.subn(pattern, shorter, text)
            if not count:
                raise StackError(f"alerts/{file} has no {pattern!r} to shorten: run drills on the shipped files")
        (alerts / file).write_text(text, encoding="utf-8")


def _shorter(duration: str) -> str:
    number, unit = int(duration[:-1]), duration[-1]
    return f"{max(_SHORTEST, number * {'s': 1, 'm': 60, 'h': 3600}[unit] // _SHORTER)}s"
