"""Who is notified: routes as they are written, and as they work, with real components and a webhook."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from otel_tutor.settings import shipped_config_dir
from otel_tutor.tools.exercise.drills import DRILLS, not_drilled
from otel_tutor.tools.exercise.environment import DrillEnvironment, shorten_timers, students
from otel_tutor.tools.stack.backends import Backends
from otel_tutor.tools.stack.configuration import render_config
from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.native.stack import NativeStack
from otel_tutor.tools.stack.polling import wait_for
from otel_tutor.tools.stack.ports import DEFAULTS
from tests.support.ports import unused_ports
from tests.support.rules import ALERTS
from tests.support.stack import PAGE

CONFIGURATION = shipped_config_dir() / "alerts" / "alertmanager.yaml"


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [("severity=critical", "page"), ("severity=warning", "team"), ("alertname=Watchdog severity=none", "watchdog")],
)
def test_each_severity_has_its_receiver(binaries: Binaries, labels: str, receiver: str) -> None:
    options = [f"--config.file={CONFIGURATION}", f"--verify.receivers={receiver}", *labels.split()]
    command = [str(binaries["amtool"]), "config", "routes", "test", *options]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)

    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_receivers_that_are_shown_are_valid_once_they_are_uncommented(binaries: Binaries, tmp_path: Path) -> None:
    text = re.sub(r"(?m)^(\s+)# ((?:slack|email)_configs|  |- )", r"\1\2", CONFIGURATION.read_text(encoding="utf-8"))
    assert {"slack_configs", "email_configs"} <= set(re.findall(r"(?m)^\s+(\w+):$", text))
    (tmp_path / "alertmanager.yaml").write_text(text, encoding="utf-8")
    command = [str(binaries["amtool"]), "check-config", str(tmp_path / "alertmanager.yaml")]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)

    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_an_address_of_the_users_own_is_left_as_it_is(tmp_path: Path) -> None:
    own = tmp_path / "own"
    for folder in ("alerts", "collector"):
        shutil.copytree(shipped_config_dir() / folder, own / folder, ignore=shutil.ignore_patterns("build"))
    (own / "alerts" / "receivers" / "page.url").write_text("https://pager.example.org/secret\n", encoding="utf-8")
    ports = {**DEFAULTS, "pager": 19095}
    render_config(own, tmp_path / "laid", ports)
    laid = {path.stem: path.read_text().strip() for path in (tmp_path / "laid" / "alerts" / "receivers").iterdir()}

    assert laid["page"] == "https://pager.example.org/secret"
    assert laid["team"] == "http://127.0.0.1:19095/team"
    assert "localhost:19095/runbooks" in (tmp_path / "laid" / "alerts" / "rules" / "tutor.yaml").read_text()
    assert "localhost:19095" in (tmp_path / "laid" / "alerts" / "runbooks" / "Watchdog.md").read_text()


def test_every_alert_has_a_drill_or_a_reason_not_to() -> None:
    assert {rule["alert"] for rule in ALERTS} == DRILLS.keys() | not_drilled().keys()
    assert DRILLS.keys().isdisjoint(not_drilled())


@pytest.fixture
def site(binaries: Binaries, tmp_path: Path) -> Iterator[DrillEnvironment]:
    """A stack under load whose alerts do not wait as long as they would."""
    ports, stack = unused_ports(), NativeStack(tmp_path / "data", binaries=binaries, die_with_parent=True)
    stack.up(ports, without=PAGE, edit=shorten_timers)
    try:
        with students(f"http://127.0.0.1:{ports['app']}") as load:
            yield DrillEnvironment(stack, ports, load)
    finally:
        stack.down()


def test_a_collector_killed_under_load_is_one_page(site: DrillEnvironment) -> None:
    """What then seems to be wrong with the tutor as well is seen to fire, and held back."""
    with Backends(site.ports) as backends:
        up = wait_for(lambda: backends.query("job:api:up == 1"), bool, seconds=60)
        assert up
        quiet = (
            'ALERTS{alertstate="firing",severity=~"critical|warning",alertname!="HighCPUUsage"}'  # other tests may cause it
        )
        assert wait_for(lambda: backends.query(quiet), lambda found: found == [], seconds=90) == []
        before = len(site.notifications())
        site.stack.supervisor.stop_program("collector")
        down = 'ALERTS{alertstate="firing",alertname="APIDown"}'
        assert wait_for(lambda: backends.query(down), bool, seconds=120)

    def notified() -> list[tuple[str, str]]:
        alerts = [(alert["labels"]["alertname"], alert["status"]) for alert in site.notifications()[before:]]
        return [(name, status) for name, status in alerts if name != "HighCPUUsage"]

    assert wait_for(notified, bool, seconds=30) == [("CollectorDown", "firing")]
    alerts = f"http://127.0.0.1:{site.ports['alertmanager']}/api/v2/alerts"

    def held_back() -> set[str]:
        answer = httpx2.get(alerts, params={"inhibited": "true"}).json()
        return {alert["labels"]["alertname"] for alert in answer if alert["status"]["inhibitedBy"]}

    assert "APIDown" in wait_for(held_back, lambda names: "APIDown" in names, seconds=30)
    wait_for(notified, lambda alerts: len(alerts) > 1, seconds=15)  # time for a second one
    assert notified() == [("CollectorDown", "firing")]
