"""What the verdicts of `make bench` rest on."""

from collections.abc import Mapping

import pytest

from tests.bench.comparison import added_row, whole_row
from tests.bench.growth import _slope
from tests.bench.readme import replace, table
from tests.bench.table import Row
from tests.bench.trial import Trial
from tests.bench.worker import time_round

TIMES = {
    "ours": [{"path": 3e-6, "all": 5e-6}, {"path": 4e-6, "all": 6e-6}, {"path": 3e-6, "all": 5e-6}],
    "peer": [{"path": 5e-6, "all": 5e-6}] * 3,
    "bare": [{"path": 1e-6, "all": 1e-6}] * 3,
}


class Kept:
    """A sink that something may be put into twice, or not at all."""

    def __init__(self) -> None:
        self.spans = 0

    def drain(self) -> int:
        arrived, self.spans = self.spans, 0
        return arrived

    def count(self, drained: int) -> Mapping[str, float]:
        return {"spans": drained}


@pytest.mark.parametrize(("spans", "missing"), [(2, ""), (1, "3 instead of 6 spans"), (3, "9 instead of 6 spans")])
def test_a_span_that_is_lost_or_arrives_twice_fails_the_run(spans: int, missing: str) -> None:
    sink = Kept()
    trial = Trial(run=lambda: setattr(sink, "spans", spans), each=2, sink=sink, expected={"spans": 2})
    for _ in range(3):
        time_round(trial)

    assert missing == trial.missing()


def test_what_a_drain_does_is_in_all_and_not_on_the_path() -> None:
    class Deferred(Kept):
        def drain(self) -> int:
            sum(range(2_000_000 if self.spans else 0))
            return super().drain()

    sink = Deferred()
    figures = time_round(Trial(run=lambda: setattr(sink, "spans", 1), each=1, sink=sink, expected={}))

    assert figures["all"] > 10 * figures["path"]


def test_a_row_compares_what_is_added_or_the_whole() -> None:
    added = added_row("request", "peer", TIMES, ("ours", "peer", "bare"), 0.9)
    whole = whole_row("request", "peer", TIMES, ("ours", "peer"), 1.0)

    assert (added.value, added.path, added.verdict) == (1.0, 0.5, "miss")
    assert (whole.value, whole.path, whole.verdict) == (1.0, 0.6, "pass")


def test_a_throughput_passes_from_its_aim_up() -> None:
    figures = {"what": "throughput", "peer": "none", "ours": "9/s", "theirs": "10/s", "low": 0.8, "high": 1.0}

    assert Row(**figures, value=0.9, aim=0.9, at_least=True).verdict == "pass"  # type: ignore[arg-type]
    assert Row(**figures, value=0.89, aim=0.9, at_least=True).verdict == "miss"  # type: ignore[arg-type]
    assert Row(**figures, value=0.1, aim=None).verdict == "stated"  # type: ignore[arg-type]


def test_a_curve_that_is_worse_than_linear_has_a_slope_above_one() -> None:
    assert pytest.approx(_slope([(1, 3), (10, 30), (100, 300)])) == 1.0
    assert pytest.approx(_slope([(1, 1), (10, 100), (100, 10_000)])) == 2.0


def test_the_readme_has_rows_that_differ_by_a_number_in_one_line() -> None:
    def of(connections: int, value: float) -> dict[str, object]:
        what = f"uvicorn, {connections} connections: throughput"
        figures = {"what": what, "family": "uvicorn: throughput", "peer": "none", "ours": "1/s", "theirs": "2/s"}
        return Row(**figures, value=value, low=value, high=value, aim=0.9, at_least=True).as_json()  # type: ignore[arg-type]

    made = table({"conditions": "Here.", "servers": [of(16, 0.95), of(64, 0.5)]})

    line = "| uvicorn: throughput, 16 / 64 connections | none | 1/s / 1/s | 2/s / 2/s |"
    assert f"{line} 0.95 (0.95 - 0.95) / 0.50 (0.50 - 0.50) | ≥ 0.9 | pass / miss |" in made.splitlines()
    assert replace("a <!-- bench -->old<!-- /bench --> b", "new") == "a <!-- bench -->\nnew<!-- /bench --> b"
