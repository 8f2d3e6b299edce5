"""`alerts/slos.yaml`, read and checked."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from otel_tutor.errors import ConfigurationError
from otel_tutor.tools.naming import Family, read_naming
from otel_tutor.tools.objectives.kinds import GaugeObjective, HistogramObjective, Objective, RatioObjective

__all__ = ["Burn", "Objectives", "read_objectives"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Burn:
    """A budget that burns `factor` times too fast over both windows, for how long, and how severe that is."""

    factor: float
    long: str
    short: str
    wait: str
    severity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Objectives:
    """The whole file. `unchecked` has a sentence for each threshold that could not be compared with buckets."""

    objectives: Sequence[Objective]
    burns: Sequence[Burn]
    fewest_errors: int
    cost_per_day: float  # in the currency of the prices
    unchecked: Sequence[str]


def read_objectives(configuration: Path) -> Objectives:
    """`alerts/slos.yaml` of a configuration folder, checked against the buckets in its `collector/naming.yaml`.

    Raises ConfigurationError for what is missing, unknown or impossible, naming the objective.
    """
    path = configuration / "alerts" / "slos.yaml"
    families = {family.name: family for family in read_naming(configuration)}
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
        objectives = [_objective(entry) for entry in entries["objectives"]]
        return Objectives(
            objectives=objectives,
            burns=[Burn(wait=burn.pop("for"), **burn) for burn in entries["burn"]],
            fewest_errors=int(entries["fewest_errors"]),
            cost_per_day=_cost(entries["cost_per_day"]),
            unchecked=[why for objective in objectives if (why := _unchecked(objective, families))],
        )
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise ConfigurationError(f"{path}: {reason}: see the other entries of that file") from None


def _objective(entry: Mapping[str, Any]) -> Objective:
    slo, target = str(entry["slo"]), float(entry["target"])
    if not 0 < target < 1:
        raise ValueError(f"objective {slo}: target {target} is not between 0 and 1")
    common: dict[str, Any] = {"slo": slo, "title": entry["title"], "target": target, "pages": entry.get("pages", True)}
    for bound in {"threshold", "at_least"} & entry.keys():
        common[bound] = float(entry[bound])
    if "histogram" in entry:
        return HistogramObjective(**common, histogram=entry["histogram"])
    if "events" in entry:
        return RatioObjective(**common, counter=entry["events"], failed=entry["failed"])
    return GaugeObjective(**common, gauge=entry["gauge"])


def _cost(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ValueError(f"cost_per_day {value!r} is not a number above 0")
    return float(value)


def _unchecked(objective: Objective, families: Mapping[str, Family]) -> str:
    """Why a threshold could not be compared with buckets. Raises ValueError for one that is none of them."""
    if not isinstance(objective, HistogramObjective):
        return ""
    family = families.get(objective.histogram)
    threshold = f"objective {objective.slo}: threshold {objective.threshold}"
    if family is not None and family.uninterpreted:
        return f"{threshold} is not compared with the buckets of {objective.histogram} ({family.uninterpreted})"
    if family is None and (unsure := [known.name for known in families.values() if known.uninterpreted]):
        return f"{threshold} is not compared with buckets: {objective.histogram} may be what became of {', '.join(unsure)}"
    buckets = family.buckets if family else ()
    if objective.threshold not in buckets:
        known = ", ".join(f"{bound:g}" for bound in buckets) or "none, it is no histogram"
        raise ValueError(f"{threshold} is no bucket of {objective.histogram} (there are {known})")
    return ""
