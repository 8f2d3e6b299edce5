"""The links of an alert are added by code: its runbook at the pager, and the dashboard of its group."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from otel_tutor.settings import shipped_config_dir
from otel_tutor.tools.rules import DASHBOARDS, with_links
from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.ports import DEFAULTS
from tests.support.rules import GROUPS, RULES

PORTS = {**DEFAULTS, "pager": 19095, "grafana": 13000}


def annotations(text: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load(with_links(text, PORTS))["groups"]
    return [rule["annotations"] for group in groups for rule in group["rules"] if "alert" in rule]


def test_an_alert_gets_its_runbook_and_the_dashboard_of_its_group() -> None:
    (links,) = annotations("groups: [{name: tutor-api, rules: [{alert: Slow, expr: a, annotations: {summary: Slow.}}]}]")

    assert links == {
        "summary": "Slow.",
        "runbook_url": "http://localhost:19095/runbooks/Slow",
        "dashboard_url": "http://localhost:13000/d/otel-tutor-api",
    }


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("https://grafana.example.org/d/mine", "https://grafana.example.org/d/mine"),
        ("/d/mine", "http://localhost:13000/d/mine"),
    ],
)
def test_a_link_of_the_rule_itself_stays(written: str, shown: str) -> None:
    rule = f"groups: [{{name: own, rules: [{{alert: Own, expr: a, annotations: {{dashboard_url: {written}}}}}]}}]"

    assert annotations(rule)[0]["dashboard_url"] == shown


def test_a_group_of_the_users_own_leads_to_the_overview_and_a_recorded_rule_nowhere() -> None:
    (links,) = annotations("groups: [{name: own, rules: [{record: a, expr: b}, {alert: Own, expr: a}]}]")

    assert links["dashboard_url"] == "http://localhost:13000/d/otel-tutor-overview"


def test_rules_that_share_their_annotations_get_a_runbook_each() -> None:
    first, second = "{alert: A, expr: a, annotations: &n {summary: x}}", "{alert: B, expr: b, annotations: *n}"
    shared = f"groups: [{{name: g, rules: [{first}, {second}]}}]"

    assert [links["runbook_url"].rpartition("/")[2] for links in annotations(shared)] == ["A", "B"]


def test_every_dashboard_is_that_of_a_group_that_is_there() -> None:
    assert DASHBOARDS.keys() - {group["name"] for group in GROUPS} == set()


def test_nothing_but_the_links_changes_and_a_second_time_nothing_at_all() -> None:
    for path in RULES.glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        linked = with_links(text, PORTS)
        document = yaml.safe_load(linked)
        for rule in (rule for group in document["groups"] for rule in group["rules"] if "alert" in rule):
            del rule["annotations"]["runbook_url"], rule["annotations"]["dashboard_url"]
        assert document == yaml.safe_load(text)
        assert with_links(linked, DEFAULTS) == linked


def test_the_command_of_compose_writes_rules_that_prometheus_takes(binaries: Binaries, tmp_path: Path) -> None:
    (tmp_path / "removed.yaml").write_text("of an earlier start", encoding="utf-8")
    command = [sys.executable, "-m", "otel_tutor.tools.rules", str(shipped_config_dir() / "alerts" / "rules"), str(tmp_path)]
    subprocess.run(command, env={**os.environ, "OTEL_TUTOR_PAGER_PORT": "19095"}, check=True)
    rules = sorted(tmp_path.glob("*.yaml"))

    assert [path.name for path in rules] == sorted(path.name for path in RULES.glob("*.yaml"))
    assert subprocess.run([binaries["promtool"], "check", "rules", *rules], capture_output=True, check=False).returncode == 0
    assert "runbook_url: http://localhost:19095/runbooks/APIDown" in (tmp_path / "tutor.yaml").read_text()
