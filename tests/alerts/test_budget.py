"""Money: what is spent is counted once, whatever becomes of a counter, and too much of it is an alert."""

from pathlib import Path

import pytest

from otel_tutor.settings import shipped_config_dir
from otel_tutor.tools.objectives import read_objectives
from otel_tutor.tools.stack.native.build import Binaries
from tests.support.promtool import STEP, check

DAY = read_objectives(shipped_config_dir()).cost_per_day
COST = 'model_cost_total{job="tutor",instance="a",model_name="m",subject="s",endpoint="/ask",currency="EUR"}'
HOUR, WHOLE_DAY = 3600, 86400


def firing(window: str, severity: str = "") -> str:
    others = f',severity="{severity}",currency="EUR",job="tutor",source="app"' if severity else ""
    return f'ALERTS{{alertname="CostBudgetBurn",alertstate="firing",window="{window}"{others}}}'


def spending(a_day: float) -> float:
    """Of a pace, what it is in each step."""
    return a_day * STEP / WHOLE_DAY


@pytest.mark.parametrize(("pace", "fires"), [(5.9, False), (6.1, True)])
def test_a_pace_of_six_budgets_a_day_is_a_page_after_an_hour(
    binaries: Binaries, tmp_path: Path, pace: float, fires: bool
) -> None:
    series = {COST: f"0+{spending(pace * DAY)}x{2 * HOUR // STEP}"}
    expected = [
        (HOUR // 2, firing("1h"), []),
        (HOUR + 300, firing("1h"), [firing("1h", "critical")] if fires else []),
    ]

    assert check(binaries, tmp_path, series, expected) == ""


def test_a_day_that_costs_more_than_its_budget_is_a_warning(binaries: Binaries, tmp_path: Path) -> None:
    steps = WHOLE_DAY // STEP + 20
    frugal = COST.replace('job="tutor"', 'job="frugal"')
    series = {COST: f"0+{spending(1.02 * DAY)}x{steps}", frugal: f"0+{spending(0.98 * DAY)}x{steps}"}
    expected = [(WHOLE_DAY + 300, firing("1d"), [firing("1d", "warning")]), (WHOLE_DAY, firing("1h"), [])]

    assert check(binaries, tmp_path, series, expected) == ""


@pytest.mark.parametrize(
    ("values", "spent"),
    [
        ("_x10 4x50", 4),  # all of it in the first sample
        ("4x20 6x40", 6),
        ("4x20 1x20 3x20", 7),  # the process began again at 0
        ("4x20 stale _x40 5x40", 5),  # the Collector was away for twenty minutes
        ("4x20 stale", 4),  # the process ended
    ],
)
def test_what_is_spent_is_counted_once(binaries: Binaries, tmp_path: Path, values: str, spent: float) -> None:
    expected = [(110 * STEP, f"job:model_cost:sum1h / {spent}", ['{job="tutor",currency="EUR"}'])]

    assert check(binaries, tmp_path, {COST: values}, expected) == ""
