"""The rules of `alerts/rules`, read once."""

from typing import Any, Final

import yaml

from otel_tutor.settings import shipped_config_dir

__all__ = ["ALERTS", "EVERY", "GROUPS", "ORDER", "RULES"]

RULES: Final = shipped_config_dir() / "alerts" / "rules"
# In the order in which Prometheus evaluates them: what is recorded before what reads it. promtool alone takes any order.
GROUPS: Final[list[dict[str, Any]]] = [
    group
    for name in ("recording", "slos", "tutor", "telemetry")
    for group in yaml.safe_load((RULES / f"{name}.yaml").read_text(encoding="utf-8"))["groups"]
]
ORDER: Final = [group["name"] for group in GROUPS]
EVERY: Final = [(group, rule) for group in GROUPS for rule in group["rules"]]
ALERTS: Final = [rule for _, rule in EVERY if "alert" in rule]  # ErrorBudgetBurn once for each window
