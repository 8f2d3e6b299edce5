"""Where a panel turns red: panels name the limit, and the files that the rest of the stack reads have its number."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from otel_tutor.tools.objectives import read_objectives

__all__ = ["Limits", "Reference", "alert", "burn_factor", "cost_per_day", "objective", "read_limits"]


@dataclass(frozen=True, slots=True)
class Reference:
    """The name of a limit, and what it is the limit of."""

    kind: str
    name: str


def objective(slo: str) -> Reference:
    """The threshold of an objective."""
    return Reference("objective", slo)


def alert(name: str) -> Reference:
    """The number that an alert's expression compares with."""
    return Reference("alert", name)


def burn_factor(window: str) -> Reference:
    """How many times too fast a budget may burn over this window before an alert fires."""
    return Reference("burn", window)


def cost_per_day() -> Reference:
    """What calls to models may cost a service in a day."""
    return Reference("budget", "cost_per_day")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The numbers of one configuration folder."""

    numbers: Mapping[Reference, float]
    collector_memory: str  # with its unit

    def value(self, threshold: float | Reference | None) -> float | None:
        """A threshold as a number. Raises KeyError for a limit that does not exist."""
        return self.numbers[threshold] if isinstance(threshold, Reference) else threshold


def read_limits(configuration: Path) -> Limits:
    """The limits of `alerts/` and `collector/` in a configuration folder. Raises ConfigurationError, KeyError and OSError."""
    file = read_objectives(configuration)
    numbers = {objective(entry.slo): entry.threshold for entry in file.objectives if entry.threshold is not None}
    numbers |= {burn_factor(burn.long): float(burn.factor) for burn in file.burns}
    numbers[cost_per_day()] = file.cost_per_day
    for path in sorted((configuration / "alerts" / "rules").glob("*.yaml")):
        for rule in (rule for group in _read(path)["groups"] for rule in group["rules"]):
            if "alert" in rule and (number := re.search(r"> ([\d.]+)", rule["expr"])):
                numbers[alert(rule["alert"])] = float(number[1])
    limiter = _read(configuration / "collector" / "config.yaml")["processors"]["memory_limiter"]
    return Limits(numbers=numbers, collector_memory=f"{limiter['limit_mib']} MiB")


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))
