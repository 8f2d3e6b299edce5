"""`otel-tutor slo`: how the service stands against its objectives, as Prometheus has recorded it."""

from collections.abc import Mapping
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from otel_tutor.errors import StackError
from otel_tutor.tools.cli.running import running_ports
from otel_tutor.tools.objectives import read_objectives
from otel_tutor.tools.stack.backends import Backends
from otel_tutor.tools.stack.project import configured

__all__ = ["slo"]

_COLUMNS: Final = ("objective", "service", "target", "5 min", "1 h", "30 days", "budget left", "burn rate")


@click.command(epilog="Example: otel-tutor slo", short_help="Show each objective, and what is left of its budget.")
def slo() -> None:
    """Show each objective: target, what is good now, the budget that is left, and how fast it burns.

    The budget is that of 30 days, or of the time for which there are data. A burn rate of 1 uses up exactly the budget.
    """
    table = Table(*_COLUMNS, box=None, pad_edge=False)
    with Backends(running_ports()) as backends:
        targets = {sample.labels["slo"]: sample.value for sample in backends.query("slo:target:ratio")}
        if not targets:
            raise StackError("Prometheus has evaluated no objective yet: wait half a minute and ask again")
        windows = {window: _ratios(backends, window) for window in ("5m", "1h", "30d")}
    for objective in read_objectives(configured()).objectives:
        if objective.slo not in targets:  # written since the stack was started
            continue
        for job in sorted({job for ratios in windows.values() for name, job in ratios if name == objective.slo}) or ["-"]:
            bad = {window: ratios.get((objective.slo, job)) for window, ratios in windows.items()}
            table.add_row(objective.title, job, f"{targets[objective.slo]:.1%}", *_cells(bad, 1 - targets[objective.slo]))
    Console().print(table)


def _ratios(backends: Backends, window: str) -> dict[tuple[str, str], float]:
    samples = backends.query(f"slo:error_ratio:rate{window}")
    return {
        (sample.labels["slo"], sample.labels["job"]): sample.value for sample in samples if sample.value == sample.value
    }  # NaN: no event


def _cells(bad: Mapping[str, float | None], budget: float) -> list[str]:
    """What is good of each window, what is left of the budget, and its burn rate over an hour."""
    good = ["-" if ratio is None else f"{1 - ratio:.2%}" for ratio in bad.values()]
    month, hour = bad["30d"], bad["1h"]
    left = "-" if month is None else f"{1 - month / budget:.1%}"
    return [*good, left, "-" if hour is None else f"{hour / budget:.1f}"]
