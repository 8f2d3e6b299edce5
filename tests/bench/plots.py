"""Pictures of what was measured: how far each row is from its aim, and how cost grows."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["draw"]

COLUMNS = 3
COLOURS = {"pass": "tab:green", "miss": "tab:red"}


def draw(results: Mapping[str, Any], folder: Path) -> None:
    """Write `ratios.png` and `growth.png`, as far as there is something to draw."""
    import matplotlib as mpl

    mpl.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    rows = [row for group in results.values() if isinstance(group, list) for row in group]
    if judged := [row for row in rows if row["verdict"] in COLOURS]:
        _draw_ratios(judged, folder / "ratios.png")
    if curves := [row for row in rows if row.get("points")]:
        _draw_growth(curves, folder / "growth.png")


def _draw_ratios(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Each row's figure as a share of its aim, with quartiles; right of the line it is missed."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(11, 1 + 0.24 * len(rows)), layout="constrained")
    for place, row in enumerate(reversed(rows)):
        shares = [max(1e-3, row[key] / row["aim"]) for key in ("low", "value", "high")]
        low, middle, high = sorted(1 / share for share in shares) if row["at_least"] else sorted(shares)
        middle = min(max(middle, low), high)
        spread = [[middle - low], [high - middle]]
        axes.errorbar(middle, place, xerr=spread, fmt="o", color=COLOURS[row["verdict"]], markersize=4)
    axes.axvline(1, color="black", linewidth=1)
    axes.margins(y=0.01)
    axes.set_xscale("log")
    axes.set_xlabel("cost as a share of the aim; 1 or less is a pass")
    labels = [row["what"] + (f" / {row['peer']}" if row["peer"] != "-" else "") for row in reversed(rows)]
    axes.set_yticks(range(len(rows)), labels, fontsize=7)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _draw_growth(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Each curve in logarithms, beside a line that grows as fast as what it is drawn over."""
    from matplotlib import pyplot as plt

    height = math.ceil(len(rows) / COLUMNS)
    figure, grid = plt.subplots(height, COLUMNS, figsize=(13, 3.4 * height), layout="constrained", squeeze=False)
    for axes, row in zip(grid.flat, rows, strict=False):
        x, y = zip(*row["points"], strict=True)
        axes.loglog(x, y, "o-", label=f"slope {row['value']:.2f}")
        axes.loglog(x, [y[-1] * each / x[-1] for each in x], "--", color="grey", label="linear")
        axes.set_title(row["what"], fontsize=8, wrap=True)
        axes.legend(fontsize=7)
    for axes in list(grid.flat)[len(rows) :]:
        axes.set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)
