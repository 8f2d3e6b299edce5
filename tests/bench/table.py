"""What was measured, as rows with a verdict: on the terminal, and as JSON for the README."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.table import Table

__all__ = ["Row", "quartiles", "terminal_table"]

DASH = "-"


@dataclass(frozen=True, kw_only=True)
class Row:
    """Ours beside a peer, or beside a limit.

    ours, theirs: medians, with their unit in them. value: what the verdict is about, as a rule the median of a ratio for
    each round; low, high: its quartiles. path: the same ratio, of the request's own thread alone. aim: None where the
    figure is stated only.
    """

    what: str
    peer: str
    ours: str
    theirs: str
    value: float
    low: float
    high: float
    aim: float | None
    path: float | None = None
    at_least: bool = False
    points: Sequence[tuple[float, float]] = ()  # of a curve
    family: str = ""  # what rows are called that differ by one number only; the README has them in one

    @property
    def verdict(self) -> str:
        """Whether the aim is reached."""
        if self.aim is None:
            return "stated"
        reached = self.value >= self.aim if self.at_least else self.value <= self.aim
        return "pass" if reached else "miss"

    def cells(self) -> list[str]:
        """The row as text."""
        sign = "≥" if self.at_least else "≤"
        aim = DASH if self.aim is None else f"{sign} {self.aim:g}"
        path = DASH if self.path is None else f"{self.path:.2f}"
        spread = f"{self.low:.2f} - {self.high:.2f}"
        return [self.what, self.peer, self.ours, self.theirs, path, f"{self.value:.2f}", spread, aim, self.verdict]

    def as_json(self) -> dict[str, object]:
        """The row with its verdict."""
        return {**asdict(self), "verdict": self.verdict, "cells": self.cells()}


COLUMNS = ("what", "beside", "ours", "theirs", "on the path", "in all", "quartiles", "aim", "")


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def terminal_table(title: str, rows: Sequence[Row]) -> Table:
    """The rows of a group."""
    table = Table(*COLUMNS, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row.cells())
    return table
