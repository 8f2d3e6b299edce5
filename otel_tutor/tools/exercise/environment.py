"""Where a drill takes place: a stack and a tutor of its own under load, whose alerts do not wait as long as they would."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2

from otel_tutor.tools.stack.native.stack import Stack
from otel_tutor.tools.stack.ports import LOOPBACK

__all__ = ["Site", "shorten", "students"]

_SHORTER: Final = 30  # `for: 5m` is 10 s in a drill
_SHORTEST: Final = 5  # seconds; a scrape that failed once is no outage, in a drill neither
_STUDENTS: Final = 4
_PAUSE: Final = 0.2  # seconds; a load that leaves the processors alone


@dataclass(frozen=True, slots=True)
class Site:
    """Where a drill takes place."""

    stack: Stack
    ports: Mapping[str, int]
    load: subprocess.Popen[bytes]

    @property
    def configuration(self) -> Path:
        """The copy that this stack's components read."""
        return self.stack.data / "config"

    def notified(self, alert: str, status: str, labels: Mapping[str, str]) -> bool:
        """Whether the webhook was told of this alert last with that status."""
        said = [one for one in self.notifications() if one["labels"].items() >= {"alertname": alert, **labels}.items()]
        states = {tuple(sorted(one["labels"].items())): one["status"] for one in said}
        return bool(states) and (status in states.values() if status == "firing" else set(states.values()) == {status})

    def notifications(self) -> list[dict[str, Any]]:
        """Every alert of every notification, in the order in which they came."""
        answer = httpx2.get(f"http://{LOOPBACK}:{self.ports['pager']}/notifications", trust_env=False).json()
        return [alert for notification in answer for alert in notification["alerts"]]


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


def shorten(configuration: Path) -> None:
    """Make each `for`, the grouping, and the half hour of NoStudentActivity shorter, in a copy of the configuration."""
    for path in (configuration / "alerts" / "rules").glob("*.yaml"):
        text = re.sub(r"(?m)^(\s+for: )(\S+)", lambda found: found[1] + _shorter(found[2]), path.read_text(encoding="utf-8"))
        text = re.sub(r"\[30m\](?=\)\) > 0\)\s+unless)", "[1m]", text)
        text = text.replace("offset 30m)", "offset 1m)").replace(
            "(process_uptime_seconds) > 1800", "(process_uptime_seconds) > 60"
        )
        path.write_text(text, encoding="utf-8")
    path = configuration / "alerts" / "alertmanager.yaml"
    text = re.sub(r"(group_wait|group_interval): (5m|1m)", r"\1: 5s", path.read_text(encoding="utf-8"))
    path.write_text(text.replace("repeat_interval: 1m", "repeat_interval: 15s"), encoding="utf-8")


def _shorter(duration: str) -> str:
    number, unit = int(duration[:-1]), duration[-1]
    return f"{max(_SHORTEST, number * {'s': 1, 'm': 60, 'h': 3600}[unit] // _SHORTER)}s"
