"""A threshold stands in one file; where another has to repeat it, both are compared here."""

import inspect
import re
from typing import Any, Final

import yaml

from dashboards.limits import alert, objective, read_limits
from otel_tutor.health import MemoryCheck
from otel_tutor.settings import shipped_config_dir
from otel_tutor.tools.objectives import read_objectives
from tests.support.rules import ALERTS

# What users were promised, by objective: target and threshold.
PROMISED: Final = {
    "api-latency": (0.95, 2.0),
    "rag-retrieval": (0.95, 0.5),
    "model-inference": (0.95, 10.0),
    "error-rate": (0.99, None),
    "uptime": (0.999, None),
    "cpu": (0.99, 85.0),
    "memory": (0.99, 12e9),
}
# By alert: threshold, `for`, severity. None where the threshold is an objective's, or the expression has none.
ALERTS_PROMISED: Final = {
    "HighLatency": (None, "5m", "warning"),
    "HighErrorRate": (0.05, "2m", "critical"),
    "APIDown": (None, "1m", "critical"),
    "SlowRAGRetrieval": (None, "5m", "warning"),
    "SlowModelInference": (None, "5m", "warning"),
    "HighCPUUsage": (None, "5m", "warning"),
    "HighMemoryUsage": (None, "5m", "warning"),
    "LowDiskSpace": (0.8, "5m", "warning"),
    "LargeSyncQueue": (1000, "10m", "warning"),
    "HighSyncFailureRate": (0.1, "5m", "warning"),
    "HighRAGFailureRate": (0.05, "5m", "critical"),
}
LIMITS: Final = read_limits(shipped_config_dir())


def collector(name: str) -> Any:
    return yaml.safe_load((shipped_config_dir() / "collector" / name).read_text(encoding="utf-8"))


def threshold(slo: str) -> float:
    value = LIMITS.value(objective(slo))
    assert value is not None
    return value


def test_the_objectives_are_those_that_were_promised() -> None:
    objectives = {entry.slo: (entry.target, entry.threshold) for entry in read_objectives(shipped_config_dir()).objectives}

    assert objectives == PROMISED


def test_the_alerts_are_those_that_were_promised() -> None:
    rules = {rule["alert"]: rule for rule in ALERTS}
    for name, (number, wait, severity) in ALERTS_PROMISED.items():
        assert (rules[name]["for"], rules[name]["labels"]["severity"]) == (wait, severity), name
        assert number is None or LIMITS.value(alert(name)) == number, name


def test_traces_are_kept_that_are_slower_than_their_objective() -> None:
    policies = collector("overlays/tail-sampling.yaml")["processors"]["tail_sampling"]["policies"]
    (slow,) = [policy["ottl_condition"]["span"] for policy in policies if policy["name"] == "slow"]
    seconds = [int(number) / 1e9 for condition in slow for number in re.findall(r"> (\d+)$", condition)]

    assert seconds == [threshold(slo) for slo in ("api-latency", "rag-retrieval", "model-inference")]


def test_the_memory_check_warns_where_the_alert_fires() -> None:
    assert inspect.signature(MemoryCheck).parameters["warning_bytes"].default == threshold("memory")


def test_span_metrics_have_every_objective_of_a_duration_among_their_buckets() -> None:
    buckets = collector("config.yaml")["connectors"]["span_metrics"]["histogram"]["explicit"]["buckets"]
    seconds = {float(text[:-2]) / 1000 if text.endswith("ms") else float(text[:-1]) for text in buckets}

    assert {threshold(slo) for slo in ("api-latency", "rag-retrieval", "model-inference")} <= seconds
