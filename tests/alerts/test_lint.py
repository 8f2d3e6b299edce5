"""Rules and runbooks against a running stack: every name is real, every window wide enough, every command runs."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from otel_tutor.naming import Series
from otel_tutor.settings import shipped_config_dir
from otel_tutor.tools.exercise.drills import not_drilled
from otel_tutor.tools.exercise.load import run_load
from otel_tutor.tools.naming import read_naming
from otel_tutor.tools.reference import OTHERS, Other
from otel_tutor.tools.stack.configuration import render_config
from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.polling import wait_for
from otel_tutor.tools.stack.ports import variable
from tests.support.promql import grouped, left, parse, selectors
from tests.support.rules import EVERY, RULES
from tests.support.stack import Running

RUNBOOKS = shipped_config_dir() / "alerts" / "runbooks"
PROMETHEUS = shipped_config_dir() / "collector" / "backends" / "prometheus.yaml"
SCRAPE = yaml.safe_load(PROMETHEUS.read_text())["global"]["scrape_interval"]
BY_NAME = {rule["alert"]: (group, rule) for group, rule in EVERY if "alert" in rule}
# They exist from their first increment on, or with the first certificate; their labels are the exporter's own.
LATER = {
    "probe_ssl_earliest_cert_expiry": {"job", "instance", "service"},
    "otel_sdk_exporter_span_exported_total": {"error_type"},
    "otel_sdk_exporter_log_exported_total": {"error_type"},
    "otel_sdk_processor_span_processed_total": {"error_type"},
    "otel_sdk_processor_log_processed_total": {"error_type"},
    "otelcol_receiver_refused_log_records": {"receiver"},
    "otelcol_exporter_send_failed_spans": {"exporter"},
    "otelcol_exporter_send_failed_log_records": {"exporter"},
}


@pytest.fixture(scope="module")
def inventory(running: Running) -> Mapping[str, set[str]]:
    """Every series there is with its labels: live, in the reference, or recorded by a rule."""
    asyncio.run(run_load(running.app, requests=60))
    httpx2.get(f"{running.app}/health")
    recorded = {rule["record"] for _, rule in EVERY if "record" in rule}
    found: dict[str, set[str]] = {}

    def complete() -> set[str]:
        for sample in running.backends.query('{__name__!=""}'):
            found.setdefault(sample.labels["__name__"], set()).update(sample.labels)
        return recorded - found.keys()

    assert wait_for(complete, lambda missing: missing == set(), seconds=150) == set()
    families: list[Series | Other] = [*read_naming(shipped_config_dir()), *OTHERS]
    for family in families:
        endings = ("_bucket", "_sum", "_count") if family.type == "histogram" else ("",)
        for ending in endings:
            le = {"le"} if ending == "_bucket" else set[str]()
            found.setdefault(family.name + ending, set()).update(family.labels, {"job", "instance"}, le)
    for name, labels in LATER.items():
        found.setdefault(name, set()).update(labels)
    return found


def mistakes(running: Running, inventory: Mapping[str, set[str]], expression: str) -> list[str]:
    node, found = parse(running.backends.prometheus, expression), []
    for selector in selectors(node):
        if selector.name not in inventory:
            found.append(f"there is no series {selector.name}")
        elif unknown := selector.labels - inventory[selector.name]:
            found.append(f"{selector.name} has no label {', '.join(unknown)}")
        if selector.seconds is not None and selector.seconds < 4 * int(SCRAPE.removesuffix("s")):
            found.append(f"{selector.name} over {selector.seconds} s has fewer than four scrapes")
    for labels, of in grouped(node):
        known = set().union(*(inventory.get(selector.name, set()) for selector in of))
        found += [f"nothing of {expression} has the label {label}" for label in labels - known if of]
    return found


@pytest.mark.parametrize(("group", "rule"), EVERY, ids=lambda part: part.get("alert") or part.get("record") or part["name"])
def test_a_rule_reads_what_exists(
    running: Running, inventory: Mapping[str, set[str]], group: dict[str, Any], rule: dict[str, Any]
) -> None:
    assert mistakes(running, inventory, rule["expr"]) == []


@pytest.mark.parametrize("name", BY_NAME)
def test_an_alert_has_all_that_its_reader_needs(
    running: Running, inventory: Mapping[str, set[str]], repository: Path, name: str
) -> None:
    _, rule = BY_NAME[name]
    annotations = rule["annotations"]
    text = " ".join(annotations.values())
    kept = left(parse(running.backends.prometheus, rule["expr"]), inventory)

    assert rule["labels"]["severity"] in {"critical", "warning", "none"}
    assert set(annotations) == {"summary", "description"}  # links are added where the rules are laid out
    assert "{{" not in annotations["summary"]
    assert set(re.findall(r"\$labels\.(\w+)", text)) <= kept | rule["labels"].keys()
    assert rule["labels"].keys().isdisjoint({"job"})


def test_each_alert_has_its_runbook_and_each_runbook_its_alert() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == set(BY_NAME)


def fences(kind: str) -> list[Any]:
    found = []
    for path in sorted(RUNBOOKS.glob("*.md")):
        for number, text in enumerate(re.findall(rf"```{kind}\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)):
            found.append(pytest.param(text.strip(), id=f"{path.stem}-{number}"))
    return found


@pytest.mark.parametrize("query", fences("promql"))
def test_a_query_of_a_runbook_runs_on_what_exists(running: Running, inventory: Mapping[str, set[str]], query: str) -> None:
    running.backends.query(query)

    assert mistakes(running, inventory, query) == []


@pytest.mark.parametrize("command", fences("sh"))
def test_a_command_of_a_runbook_runs(
    running: Running, inventory: Mapping[str, set[str]], tmp_path: Path, command: str
) -> None:
    """As it stands, but for the ports of this stack and its data folder; each line is one command."""
    render_config(shipped_config_dir(), tmp_path, running.stack.state.ports)
    laid_out = "".join(path.read_text() for path in (tmp_path / "alerts" / "runbooks").glob("*.md"))
    ports = {variable(name): str(number) for name, number in running.stack.state.ports.items()}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, **ports, "OTEL_TUTOR_DATA": str(running.stack.data), "PATH": path}
    for line in command.splitlines():
        mine = next(moved for moved in laid_out.splitlines() if re.sub(r":\d+", "", moved) == re.sub(r":\d+", "", line))
        answer = subprocess.run(
            ["bash", "-c", mine], env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        assert answer.returncode == 0, f"{mine}: {answer.stdout}{answer.stderr}"


@pytest.mark.parametrize("path", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_a_runbook_says_what_somebody_just_woken_asks(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    assert text.startswith(f"# {path.stem}\n")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[:5] == ["Meaning", "Impact", "Diagnosis", "Mitigation", "Resolves"]
    assert headings[5:] == (["Drill"] if path.stem in not_drilled() else [])


def loaded(running: Running) -> list[dict[str, Any]]:
    """The alerting rules that Prometheus has."""
    groups = httpx2.get(f"{running.backends.prometheus}/api/v1/rules", params={"type": "alert"}).json()["data"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_every_alert_that_prometheus_has_leads_to_its_runbook_and_to_a_dashboard(running: Running) -> None:
    grafana = f"http://localhost:{running.stack.state.ports['grafana']}"
    boards = {f"{grafana}/d/{path.stem}" for path in (shipped_config_dir() / "dashboards" / "json").glob("*.json")}
    rules = loaded(running)

    assert {rule["name"] for rule in rules} == set(BY_NAME)
    for rule in rules:
        assert httpx2.get(rule["annotations"]["runbook_url"]).text.startswith(f"# {rule['name']}\n")
        assert rule["annotations"]["dashboard_url"] in boards


def test_prometheus_accepts_every_rule_with_all_its_lints(binaries: Binaries) -> None:
    command: list[str | Path] = [binaries["promtool"], "check", "rules", "--lint=all", "--lint-fatal"]
    command += sorted(RULES.glob("*.yaml"))

    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_no_rule_fails_on_the_running_stack(running: Running, inventory: Mapping[str, set[str]]) -> None:
    answer = httpx2.get(f"{running.backends.prometheus}/api/v1/rules").json()["data"]["groups"]
    health = {rule["name"]: rule["health"] for group in answer for rule in group["rules"]}

    assert {name for name, state in health.items() if state != "ok"} == set()
    assert running.backends.query('ALERTS{alertstate="firing",alertname!="Watchdog"}') == []
