"""Prometheus' own tool for rules, on series that are given and alerts that are expected."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from otel_tutor.tools.stack.native.build import Binaries
from tests.support.rules import ORDER, RULES

STEP = 30  # seconds between samples and between evaluations


def check(
    binaries: Binaries,
    folder: Path,
    series: Mapping[str, str],
    expected: Sequence[tuple[int, str, list[str]]],
    *,
    step: int = STEP,
) -> str:
    """What promtool objects to: at each time (seconds), the series that the expression shall have."""
    tests = [
        {
            "eval_time": f"{seconds}s",
            "expr": expression,
            "exp_samples": [{"labels": labels, "value": 1} for labels in wanted],
        }
        for seconds, expression, wanted in expected
    ]
    inputs = [{"series": name, "values": text} for name, text in series.items()]
    document = {
        "rule_files": [str(path) for path in sorted(RULES.glob("*.yaml"))],
        "group_eval_order": ORDER,
        "evaluation_interval": f"{step}s",
        "tests": [{"interval": f"{step}s", "input_series": inputs, "promql_expr_test": tests}],
    }
    path = folder / "test.yaml"
    path.write_text(yaml.safe_dump(document, width=1_000_000), encoding="utf-8")
    answer = subprocess.run([binaries["promtool"], "test", "rules", path], capture_output=True, text=True, check=False)
    return "" if answer.returncode == 0 else answer.stdout + answer.stderr


def seconds(duration: str) -> int:
    return int(duration[:-1]) * {"s": 1, "m": 60, "h": 3600}[duration[-1]]
