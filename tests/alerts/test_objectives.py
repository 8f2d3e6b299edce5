"""Objectives: one line decides a target; a budget that burns too fast is an alert in every window, and only then."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from dashboards import overview
from dashboards import slo as slo_board
from dashboards.limits import read_limits
from dashboards.panels import encode
from otel_tutor.errors import ConfigurationError
from otel_tutor.settings import shipped_config_dir
from otel_tutor.tools.objectives import Burn, Objective, read_objectives, render, write_rules
from otel_tutor.tools.stack.backends import Backends
from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.native.stack import NativeStack
from otel_tutor.tools.stack.polling import wait_for
from tests.support.ports import unused_ports
from tests.support.promtool import check, seconds
from tests.support.stack import APP_AND_PAGE

OBJECTIVES = read_objectives(shipped_config_dir())
PAIRS = [
    (objective, burn)
    for objective in OBJECTIVES.objectives
    for burn in OBJECTIVES.burns
    if objective.pages or burn.severity != "critical"
]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The configuration, to be edited."""
    for folder in ("alerts", "collector"):
        shutil.copytree(shipped_config_dir() / folder, tmp_path / folder, ignore=shutil.ignore_patterns("build"))
    return tmp_path


def edit(folder: Path, before: str, after: str) -> None:
    path = folder / "alerts" / "slos.yaml"
    text = path.read_text(encoding="utf-8")
    assert text.count(before) >= 1
    path.write_text(text.replace(before, after, 1), encoding="utf-8")


def test_the_rules_are_those_of_the_file() -> None:
    path = shipped_config_dir() / "alerts" / "rules" / "slos.yaml"

    assert path.read_text(encoding="utf-8") == render(OBJECTIVES)


BURNING = pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair[0].slo}-{pair[1].long}")
BURN = pytest.mark.parametrize("burn", OBJECTIVES.burns, ids=lambda burn: burn.long)
LATENCY = OBJECTIVES.objectives[0]  # where a rule does not depend on the objective


def firing(burn: Burn, **labels: str) -> str:
    chosen = {"alertname": "ErrorBudgetBurn", "alertstate": "firing", "window": burn.long, **labels}
    return "ALERTS{" + ",".join(f'{name}="{value}"' for name, value in chosen.items()) + "}"


def allowed(objective: Objective, burn: Burn) -> float:
    """The share of bad events at which the budget burns exactly `factor` times too fast."""
    return burn.factor * (1 - objective.target)


def step_of(burn: Burn) -> int:
    """Seconds between points: twenty in the short window, and less than the 300 after which Prometheus forgets one."""
    return min(240, max(30, seconds(burn.short) // 20))


def rates(objective: Objective, burn: Burn, *phases: tuple[int, float], events: float = 100.0) -> dict[str, str]:
    """What is recorded of a service: in each phase, of so many seconds, this share of its events is bad."""
    labels = f'{{slo="{objective.slo}",job="tutor"}}'
    points = [(seconds // step_of(burn), share) for seconds, share in phases]
    errors = " ".join(f"{share * events}x{count}" for count, share in points)
    total = sum(count + 1 for count, _ in points)
    return {f"slo:errors:rate5m{labels}": errors, f"slo:events:rate5m{labels}": f"{events}x{total}"}


@BURNING
def test_a_budget_that_burns_too_fast_is_an_alert_until_the_short_window_is_clean(
    binaries: Binaries, tmp_path: Path, pair: tuple[Objective, Burn]
) -> None:
    objective, burn = pair
    wait, short, step = seconds(burn.wait), seconds(burn.short), step_of(burn)
    fault = wait + short
    series = rates(objective, burn, (fault, 1.01 * allowed(objective, burn)), (2 * short, 0.0))
    alert = firing(burn, slo=objective.slo, job="tutor", severity=burn.severity, source="app")
    expected = [
        (wait - step, firing(burn), []),
        (fault, firing(burn), [alert]),
        (fault + short + 3 * step, firing(burn), []),
    ]

    assert check(binaries, tmp_path, series, expected, step=step) == ""


@BURN
def test_a_budget_that_burns_a_little_slower_is_none(binaries: Binaries, tmp_path: Path, burn: Burn) -> None:
    whole = 12 * seconds(burn.short)
    series = rates(LATENCY, burn, (whole, 0.99 * allowed(LATENCY, burn)))

    assert check(binaries, tmp_path, series, [(whole, firing(burn), [])], step=step_of(burn)) == ""


@BURN
def test_a_fault_as_short_as_the_short_window_is_none(binaries: Binaries, tmp_path: Path, burn: Burn) -> None:
    """Four times too fast for a twelfth of the long window is a third of what is allowed over all of it."""
    short = seconds(burn.short)
    series = rates(LATENCY, burn, (11 * short, 0.0), (short, min(0.99, 4 * allowed(LATENCY, burn))))

    assert check(binaries, tmp_path, series, [(12 * short, firing(burn), [])], step=step_of(burn)) == ""


@BURN
def test_a_service_that_is_seldom_used_is_none(binaries: Binaries, tmp_path: Path, burn: Burn) -> None:
    """Ten times too fast, and still less than the five errors that an alert needs."""
    fault = seconds(burn.wait) + seconds(burn.short)
    series = rates(LATENCY, burn, (fault, 10 * allowed(LATENCY, burn)), events=1e-7)

    assert check(binaries, tmp_path, series, [(fault, firing(burn), [])], step=step_of(burn)) == ""


EVENTS = {
    "api-latency": ("http_request_duration_seconds_count", 'http_request_duration_seconds_bucket{le="2.0"}'),
    "rag-retrieval": ("rag_retrieval_duration_seconds_count", 'rag_retrieval_duration_seconds_bucket{le="0.5"}'),
    "model-inference": ("model_inference_duration_seconds_count", 'model_inference_duration_seconds_bucket{le="10.0"}'),
    "error-rate": ('http_requests_total{status="500"}', 'http_requests_total{status="200"}'),
    "cpu": ("system_cpu_usage_percent", "86"),
    "memory": ("system_memory_usage_bytes", "12000000001"),
    "uptime": ("event_loop_lag_seconds_count", ""),
}


def of_tutor(name: str) -> str:
    return name.replace("}", ',job="tutor"}') if "{" in name else f'{name}{{job="tutor"}}'


@pytest.mark.parametrize("slo", [objective.slo for objective in OBJECTIVES.objectives])
def test_what_goes_wrong_counts_and_nothing_else(binaries: Binaries, tmp_path: Path, slo: str) -> None:
    """A quarter of the events, or of the time, is out of bounds."""
    first, second = EVENTS[slo]
    if slo == "error-rate":
        series = {of_tutor(first): "0+10x120", of_tutor(second): "0+30x120"}
    elif slo in ("cpu", "memory"):
        series = {of_tutor(first): " ".join(["1 1 1", second] * 60)}
    elif slo == "uptime":
        series = {of_tutor(first): "0+60x60 3600x90", **{f'up{{job="{job}"}}': "1x240" for job in ("app", "collector")}}
    else:
        series = {of_tutor(first): "0+40x120", of_tutor(second): "0+30x120"}
    near = f'abs(slo:error_ratio:rate1h{{slo="{slo}"}} - 0.25) < bool 0.05'
    moment = 2640 if slo == "uptime" else 3000  # it counts a minute late, and its rate is an average of five

    expected: list[tuple[int, str, list[str]]] = [(moment, near, [f'{{slo="{slo}",job="tutor"}}'])]
    assert check(binaries, tmp_path, series, expected) == ""


def test_a_changed_target_changes_every_rule_that_depends_on_it(copy: Path) -> None:
    edit(copy, "target: 0.95", "target: 0.9")
    edit(copy, "threshold: 2 #", "threshold: 1 #")
    write_rules(copy)
    rules = [
        rule for group in yaml.safe_load((copy / "alerts/rules/slos.yaml").read_text())["groups"] for rule in group["rules"]
    ]
    mine = {rule["record"]: rule["expr"] for rule in rules if rule.get("labels", {}).get("slo") == "api-latency"}

    assert mine["slo:target:ratio"] == "vector(0.9)"
    assert mine["slo:threshold:value"] == "vector(1.0)"
    assert 'le="1.0"' in mine["slo:errors:rate5m"]
    text = "".join(path.read_text() for path in (copy / "alerts" / "rules").glob("*.yaml"))
    assert re.search(r'p95_rate2m > on \(\) group_left \(\) slo:threshold:value{slo="api-latency"}', text)


def test_a_changed_target_is_the_one_that_is_shown(binaries: Binaries, tmp_path: Path) -> None:
    """In Prometheus and by `otel-tutor slo`, with nothing edited but the objective."""

    def stricter(configuration: Path) -> None:
        edit(configuration, "target: 0.95", "target: 0.9")
        edit(configuration, "threshold: 2 #", "threshold: 1 #")
        write_rules(configuration)

    stack = NativeStack(tmp_path / "data", binaries=binaries, die_with_parent=True)
    stack.up(unused_ports(), without=APP_AND_PAGE, edit=stricter)
    try:
        with Backends(stack.state.ports) as backends:
            recorded = '{slo="api-latency",__name__=~"slo:target:ratio|slo:threshold:value"}'
            found = wait_for(lambda: backends.query(recorded), lambda samples: len(samples) == 2, seconds=40)
        assert sorted(sample.value for sample in found) == [0.9, 1.0]
        command, environment = (
            [sys.executable, "-m", "otel_tutor", "slo"],
            {**os.environ, "OTEL_TUTOR_DATA": str(stack.data)},
        )
        shown = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
        assert re.search(r"API latency +- +90.0%", shown)
    finally:
        stack.down()


def test_a_changed_threshold_moves_the_red_line_of_its_panels(copy: Path) -> None:
    edit(copy, "threshold: 2 #", "threshold: 1 #")
    panels = json.loads(encode(overview.BOARD, read_limits(copy)))["panels"]
    (latency,) = [panel for panel in panels if panel["title"] == "API latency"]

    assert [step["value"] for step in latency["fieldConfig"]["defaults"]["thresholds"]["steps"]] == [None, 1.0]


def test_a_changed_burn_factor_moves_the_red_line_and_its_description(copy: Path) -> None:
    edit(copy, "factor: 14.4", "factor: 10")
    panels = json.loads(encode(slo_board.BOARD, read_limits(copy)))["panels"]
    (burning,) = [panel for panel in panels if panel["title"] == "Burn rate over an hour"]

    assert burning["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]["value"] == 10.0
    assert burning["description"].endswith("a page comes at 10.")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("threshold: 2 #", "threshold: 3 #", r"objective api-latency: threshold 3.0 is no bucket .* 1, 2, 5"),
        ("target: 0.95", "target: 95", r"objective api-latency: target 95.0 is not between 0 and 1"),
        ("target: 0.95", "goal: 0.95", r"'target' is missing"),
        ("histogram: rag_r", "histogram: r", r"there are none, it is no histogram"),
        ("cost_per_day: 10", "cost_per_day: none", r"cost_per_day 'none' is not a number above 0"),
        ("cost_per_day: 10", "cost_per_day: 0", r"cost_per_day 0 is not a number above 0"),
        ("cost_per_day", "cost_per_month", r"'cost_per_day' is missing"),
        ("factor: 6", "faktor: 6", r"unexpected keyword argument 'faktor'"),
    ],
)
def test_an_objective_that_cannot_be_is_named(copy: Path, before: str, after: str, said: str) -> None:
    edit(copy, before, after)

    with pytest.raises(ConfigurationError, match=said):
        read_objectives(copy)
