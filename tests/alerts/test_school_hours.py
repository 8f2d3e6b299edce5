"""NoStudentActivity is notified in the hours of the school only: the real Alertmanager, our routes and a webhook."""

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import pytest

from otel_tutor.settings import shipped_config_dir
from otel_tutor.tools.stack.configuration import render_config
from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.pager import Pager
from otel_tutor.tools.stack.polling import wait_for
from otel_tutor.tools.stack.ports import LOOPBACK
from otel_tutor.tools.stack.readiness import answers
from tests.support.ports import unused_ports

ALWAYS = '      - weekdays: ["sunday:saturday"] # a week begins with Sunday\n'
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
FAR_EAST = "Pacific/Kiritimati"  # 14 hours ahead of UTC

Edit = Callable[[str], str]


@dataclass(frozen=True)
class Routing:
    """An Alertmanager and what its webhook was sent."""

    address: str
    pager: Pager

    def fire(self, *names: str) -> None:
        """Report these alerts of one service as firing."""
        alerts = [{"labels": {"alertname": name, "severity": "warning", "source": "app", "job": "tutor"}} for name in names]
        httpx2.post(f"{self.address}/api/v2/alerts", json=alerts).raise_for_status()

    def notified(self) -> set[str]:
        """The alerts of all notifications."""
        return {alert["labels"]["alertname"] for sent in self.pager.notifications for alert in sent["alerts"]}

    def muted(self) -> Mapping[str, list[str]]:
        """The alerts that are held back, with the intervals that do it."""
        groups: list[dict[str, Any]] = httpx2.get(f"{self.address}/api/v2/alerts/groups").json()
        alerts = [alert for group in groups for alert in group["alerts"]]
        return {alert["labels"]["alertname"]: alert["status"]["mutedBy"] for alert in alerts if alert["status"]["mutedBy"]}


@contextmanager
def alertmanager(binaries: Binaries, folder: Path, edit: Edit) -> Iterator[Routing]:
    """Alertmanager with our configuration, which does not wait for a group, and with an edit."""
    ports = unused_ports()
    render_config(shipped_config_dir(), folder, ports)
    file = folder / "alerts" / "alertmanager.yaml"
    text = edit(file.read_text(encoding="utf-8"))
    file.write_text(re.sub(r"group_(wait|interval): \S+", r"group_\1: 1s", text), encoding="utf-8")
    command: list[str | Path] = [
        binaries["alertmanager"],
        f"--config.file={file}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address={LOOPBACK}:{ports['alertmanager']}",
        "--cluster.listen-address=",
    ]
    address = f"http://{LOOPBACK}:{ports['alertmanager']}"
    pager = Pager((LOOPBACK, ports["pager"]), folder / "alerts" / "runbooks")
    threading.Thread(target=pager.serve_forever, daemon=True).start()
    log = folder / "alertmanager.log"
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(command, cwd=file.parent, stderr=errors)
    try:
        assert wait_for(lambda: answers(f"{address}/-/ready"), bool, seconds=30), log.read_text(encoding="utf-8")
        yield Routing(address, pager)
    finally:
        process.kill()
        process.wait()
        pager.shutdown()
        pager.server_close()


def days(*, open_now: bool) -> Edit:
    """School hours on the day that it is in the far east, or on all the others."""
    now = datetime.now(ZoneInfo(FAR_EAST))
    today = {DAYS[moment.weekday()] for moment in (now, now + timedelta(minutes=10))}  # it may turn midnight
    chosen = [day for day in DAYS if (day in today) is open_now]
    hours = f"      - {{weekdays: [{', '.join(chosen)}], location: {FAR_EAST}}}\n"
    return lambda text: replace(text, ALWAYS, hours)


def replace(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


@pytest.mark.parametrize("edit", [lambda text: text, days(open_now=True)], ids=["as shipped", "on a day of lessons"])
def test_a_quiet_school_is_notified(binaries: Binaries, tmp_path: Path, edit: Edit) -> None:
    with alertmanager(binaries, tmp_path, edit) as routing:
        routing.fire("NoStudentActivity", "HighLatency")

        names = wait_for(routing.notified, lambda names: len(names) == 2, seconds=30)
        assert names == {"NoStudentActivity", "HighLatency"}


def test_on_a_day_without_lessons_no_one_is_notified_that_students_are_away(binaries: Binaries, tmp_path: Path) -> None:
    with alertmanager(binaries, tmp_path, days(open_now=False)) as routing:
        routing.fire("NoStudentActivity", "HighLatency")

        muted = wait_for(routing.muted, bool, seconds=30)
        assert muted == {"NoStudentActivity": ["school-hours"]}
        assert wait_for(routing.notified, bool, seconds=30) == {"HighLatency"}


def test_the_hours_that_are_shown_are_valid_where_no_time_zone_is_known(binaries: Binaries, tmp_path: Path) -> None:
    """In a root folder with nothing but the tool and the file, as in an image from scratch."""
    text = (shipped_config_dir() / "alerts" / "alertmanager.yaml").read_text(encoding="utf-8")
    shown = "".join(
        line[1:] for line in text.splitlines(keepends=True) if re.match(r"#  +(- weekdays|times|location)", line)
    )
    assert "location: Europe/Berlin" in shown
    (tmp_path / "alertmanager.yaml").write_text(replace(text, ALWAYS, shown), encoding="utf-8")
    shutil.copy(binaries["amtool"], tmp_path / "amtool")
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = ["unshare", *as_root, f"--root={tmp_path}", "/amtool", "check-config", "/alertmanager.yaml"]
    answer = subprocess.run(command, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False)

    assert answer.returncode == 0, answer.stdout + answer.stderr
