"""The rules that objectives are made into: `alerts/rules/slos.yaml`.

For each objective, errors and events per second are recorded over five minutes. A longer window is a sum of those points, so
that Prometheus never reads a month of raw samples.
"""

from pathlib import Path
from typing import Final

import yaml

from otel_tutor.tools.objectives.file import Burn, Objectives, read_objectives
from otel_tutor.tools.objectives.kinds import Objective

__all__ = ["render", "write_rules"]

# Seconds between points of the five-minute rates. Ten points in a window of five minutes show when a fault begins and ends.
_STEP: Final = 30
_FAST: Final = ("5m", "30m", "1h", "2h", "6h")  # windows that pages wait for, evaluated at every step
_SLOW: Final = ("1d", "3d", "30d")  # evaluated every two minutes: less than the five after which Prometheus forgets a point
_HEAD: Final = "# Made of ../slos.yaml by `python -m otel_tutor.tools.objectives`: edits belong there.\n\n"


def render(file: Objectives) -> str:
    """The rules, in the order in which they need each other."""
    objectives = file.objectives
    constants = [_record("slo:target:ratio", str(objective.target), objective) for objective in objectives]
    constants += [
        _record("slo:threshold:value", str(objective.threshold), objective)
        for objective in objectives
        if objective.threshold
    ]
    bad = [_record("slo:bad:bool", objective.bad, objective) for objective in objectives if objective.bad]
    rates = [_record("slo:events:rate5m", objective.events, objective) for objective in objectives]
    rates += [_record("slo:errors:rate5m", objective.errors, objective) for objective in objectives]
    silent = "|".join(objective.slo for objective in objectives if not objective.pages)
    groups = [
        {"name": "slo-targets", "rules": [*constants, *bad]},
        {"name": "budget", "rules": [{"record": "budget:cost_per_day:value", "expr": f"vector({file.cost_per_day})"}]},
        {"name": "slo", "interval": f"{_STEP}s", "rules": [*rates, *(_ratio(window) for window in _FAST)]},
        {"name": "slo-long", "interval": "2m", "rules": [_ratio(window) for window in _SLOW]},
        {
            "name": "slo-alerts",
            "interval": f"{_STEP}s",
            "labels": {"source": "app"},
            "rules": [_alert(burn, silent, file.fewest_errors) for burn in file.burns],
        },
    ]
    return _HEAD + yaml.safe_dump({"groups": groups}, sort_keys=False, width=125, allow_unicode=True)


def _record(name: str, expression: str, objective: Objective) -> dict[str, object]:
    constant = expression.replace(".", "").replace("e+", "").isdecimal()
    expr = f"vector({expression})" if constant else expression
    return {"record": name, "expr": expr, "labels": {"slo": objective.slo}}


def _ratio(window: str) -> dict[str, object]:
    """Errors of the window by its events: the sum of rates is in proportion to the number of either."""
    if window == "5m":
        return {"record": "slo:error_ratio:rate5m", "expr": "slo:errors:rate5m / slo:events:rate5m"}
    total = "sum_over_time(slo:{}:rate5m[{}])".format
    return {
        "record": f"slo:error_ratio:rate{window}",
        "expr": f"{total('errors', window)} / {total('events', window)}",
    }


def _alert(burn: Burn, silent: str, fewest: int) -> dict[str, object]:
    chosen = f'{{slo!~"{silent}"}}' if silent and burn.severity == "critical" else ""
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
        },
    }


def write_rules(configuration: Path) -> None:
    """Write `alerts/rules/slos.yaml` of a configuration folder. Raises ConfigurationError and OSError."""
    rules = render(read_objectives(configuration))
    (configuration / "alerts" / "rules" / "slos.yaml").write_text(rules, encoding="utf-8")
