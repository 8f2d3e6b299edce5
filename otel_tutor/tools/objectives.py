"""The objectives of `alerts/slos.yaml`, and the rules that are made of them: `alerts/rules/slos.yaml`.

    python -m otel_tutor.tools.objectives

writes those anew. For each objective, errors and events per second are recorded over five minutes; every longer window is a
sum of those, so that a month costs what a month of points costs. Of a gauge, events are seconds, errors those out of bounds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from otel_tutor.errors import ConfigurationError
from otel_tutor.settings import configuration_folder
from otel_tutor.tools.naming import read_naming

__all__ = ["Burn", "Objective", "Objectives", "read_objectives", "render", "write_rules"]

_STEP: Final = 30  # seconds between points of the five-minute rates
_FAST: Final = ("5m", "30m", "1h", "2h", "6h")  # windows that pages wait for, evaluated at every step
_SLOW: Final = ("1d", "3d", "30d")  # evaluated every two minutes: less than the five after which Prometheus forgets a point
_HEAD: Final = "# Made of ../slos.yaml by `python -m otel_tutor.tools.objectives`: edits belong there.\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """A share (`target`) of events or of time that has to be good, and what good means, as PromQL."""

    slo: str
    title: str
    target: float
    threshold: float | None
    pages: bool
    events: str  # per second, by job
    errors: str  # per second, by job
    bad: str = ""  # of a gauge: 1 while it is out of bounds, else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Burn:
    """A budget that burns `factor` times too fast over both windows, for how long, and who is told."""

    factor: float
    long: str
    short: str
    wait: str
    severity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Objectives:
    """The whole file."""

    objectives: Sequence[Objective]
    burns: Sequence[Burn]
    fewest_errors: int


def read_objectives(configuration: Path) -> Objectives:
    """`alerts/slos.yaml` of a configuration folder, checked against the buckets in its `collector/naming.yaml`.

    Raises ConfigurationError for what is missing, unknown or impossible, naming the objective.
    """
    path = configuration / "alerts" / "slos.yaml"
    buckets = {one.name: one.buckets for one in read_naming(configuration) if one.buckets}
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Objectives(
            objectives=[_objective(one, buckets) for one in given["objectives"]],
            burns=[Burn(wait=one.pop("for"), **one) for one in given["burn"]],
            fewest_errors=int(given["fewest_errors"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        said = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise ConfigurationError(f"{path}: {said}: see the other entries of that file") from None


def _objective(given: Mapping[str, Any], buckets: Mapping[str, tuple[float, ...]]) -> Objective:
    slo, target = given["slo"], float(given["target"])
    threshold = float(given["threshold"]) if "threshold" in given else None
    if not 0 < target < 1:
        raise ValueError(f"objective {slo}: target {target} is not between 0 and 1")
    common = {"slo": slo, "title": given["title"], "target": target, "threshold": threshold}
    pages = bool(given.get("pages", True))
    if histogram := given.get("histogram"):
        if threshold not in buckets.get(histogram, ()):
            known = ", ".join(f"{bound:g}" for bound in buckets.get(histogram, ())) or "none, it is no histogram"
            raise ValueError(f"objective {slo}: threshold {threshold} is no bucket of {histogram} (there are {known})")
        events = f"sum by (job) (rate({histogram}_count[5m]))"
        good = f'sum by (job) (rate({histogram}_bucket{{le="{threshold}"}}[5m]))'
        return Objective(**common, pages=pages, events=events, errors=f"clamp_min({events} - {good}, 0)")
    if counter := given.get("events"):
        events = f"sum by (job) (rate({counter}[5m]))"
        failed = f"sum by (job) (rate({counter}{{{given['failed']}}}[5m]))"
        return Objective(**common, pages=pages, events=events, errors=f"{failed} or 0 * {events}")
    if "at_least" in given:  # not while the Collector is down: nothing is known of such a time
        bad = f"({given['gauge']} < bool {float(given['at_least'])}) and on () collector:up == 1"
    else:
        bad = f"{given['gauge']} > bool {threshold}"
    recorded = f'avg_over_time(slo:bad:bool{{slo="{slo}"}}[5m])'
    return Objective(**common, pages=pages, events=f"0 * {recorded} + 1", errors=recorded, bad=bad)


def render(given: Objectives) -> str:
    """The rules, in the order in which they need each other."""
    every = given.objectives
    constants = [_record("slo:target:ratio", str(one.target), slo=one.slo) for one in every]
    constants += [_record("slo:threshold:value", str(one.threshold), slo=one.slo) for one in every if one.threshold]
    bad = [_record("slo:bad:bool", one.bad, slo=one.slo) for one in every if one.bad]
    rates = [_record("slo:events:rate5m", one.events, slo=one.slo) for one in every]
    rates += [_record("slo:errors:rate5m", one.errors, slo=one.slo) for one in every]
    quiet = "|".join(one.slo for one in every if not one.pages)
    groups = [
        {"name": "slo-targets", "rules": [*constants, *bad]},
        {"name": "slo", "interval": f"{_STEP}s", "rules": [*rates, *(_ratio(window) for window in _FAST)]},
        {"name": "slo-long", "interval": "2m", "rules": [_ratio(window) for window in _SLOW]},
        {
            "name": "slo-alerts",
            "interval": f"{_STEP}s",
            "labels": {"source": "app"},
            "rules": [_alert(burn, quiet, given.fewest_errors) for burn in given.burns],
        },
    ]
    return _HEAD + yaml.safe_dump({"groups": groups}, sort_keys=False, width=125, allow_unicode=True)


def _record(name: str, expression: str, **labels: str) -> dict[str, object]:
    constant = expression.replace(".", "").replace("e+", "").isdecimal()
    return {"record": name, "expr": f"vector({expression})" if constant else expression, "labels": labels}


def _ratio(window: str) -> dict[str, object]:
    """Errors of the window by its events: the sum of rates is in proportion to the number of either."""
    if window == "5m":
        return {"record": "slo:error_ratio:rate5m", "expr": "slo:errors:rate5m / slo:events:rate5m"}
    total = "sum_over_time(slo:{}:rate5m[{}])".format
    return {
        "record": f"slo:error_ratio:rate{window}",
        "expr": f"{total('errors', window)} / {total('events', window)}",
    }


def _alert(burn: Burn, quiet: str, fewest: int) -> dict[str, object]:
    chosen = f'{{slo!~"{quiet}"}}' if quiet and burn.severity == "critical" else ""
    allowed = f"on (slo) group_left () {burn.factor} * (1 - slo:target:ratio)"
    expression = (
        f"slo:error_ratio:rate{burn.long}{chosen} > {allowed}\n"
        f"  and slo:error_ratio:rate{burn.short} > {allowed}\n"
        f"  and {_STEP} * sum_over_time(slo:errors:rate5m[{burn.long}]) >= {fewest}\n"
    )
    return {
        "alert": "ErrorBudgetBurn",
        "expr": expression,
        "for": burn.wait,
        "labels": {"severity": burn.severity, "window": burn.long},
        "annotations": {
            "summary": "An error budget burns too fast.",
            "description": "{{ $value | humanizePercentage }} of what the objective {{ $labels.slo }} of {{ $labels.job }} "
            f"counts went wrong in the last {burn.long}: {burn.factor} times what it allows, or more.",
            "runbook_url": "http://localhost:9095/runbooks/ErrorBudgetBurn",
            "dashboard_url": "http://localhost:3000/d/otel-tutor-slo",
        },
    }


def write_rules(configuration: Path) -> None:
    """Make `alerts/rules/slos.yaml` of a configuration folder anew. Raises ConfigurationError and OSError."""
    rules = render(read_objectives(configuration))
    (configuration / "alerts" / "rules" / "slos.yaml").write_text(rules, encoding="utf-8")


if __name__ == "__main__":
    write_rules(configuration_folder())
