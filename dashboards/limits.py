"""Where a panel turns red: objectives from `alerts/slos.yaml`, the rest from the alert's own expression."""

import re
from pathlib import Path
from typing import Final

import yaml

from otel_tutor.tools.objectives import read_objectives

__all__ = ["alert", "objective"]

_REPOSITORY: Final = Path(__file__).parent.parent


def objective(slo: str) -> float | None:
    """The threshold of an objective."""
    return next(one.threshold for one in read_objectives(_REPOSITORY).objectives if one.slo == slo)


def alert(name: str) -> float:
    """The number that an alert's expression compares with."""
    for path in sorted((_REPOSITORY / "alerts" / "rules").glob("*.yaml")):
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            for rule in group["rules"]:
                if rule.get("alert") == name and (found := re.search(r"> ([\d.]+)", rule["expr"])):
                    return float(found[1])
    raise LookupError(name)
