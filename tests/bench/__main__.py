"""What telemetry costs, against what else could have been used: `make bench`.

Every row is a ratio of processor time, measured in alternating short rounds of one process, so that whatever else the
machine does falls on both sides. Nothing leaves the process; that what was timed also arrived is checked afterwards.
"""

import asyncio
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from otel_tutor.testing import capture
from tests.bench.requests import request_variants
from tests.bench.updates import update_variants

ROUNDS = 60


@dataclass(frozen=True)
class Row:
    """Ours against a peer; each ratio is of one round."""

    title: str
    ratios: Sequence[float]
    aim: float

    def cells(self) -> tuple[str, ...]:
        """Title, median, spread as quartiles, aim, verdict."""
        low, middle, high = statistics.quantiles(self.ratios, n=4)
        verdict = "pass" if middle <= self.aim else "miss"
        return self.title, f"{middle:.2f}", f"{low:.2f} - {high:.2f}", f"{self.aim:.2f}", verdict


def measure(variants: dict[str, Callable[[], float]], after_each: Callable[[], None]) -> dict[str, list[float]]:
    """Processor seconds of each variant in each round, in turns."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    for run in variants.values():
        run()  # what is made once is made now
    for _ in range(ROUNDS):
        for name, run in variants.items():
            times[name].append(run())
            after_each()
    return times


def added(times: dict[str, list[float]], ours: str, peer: str, bare: str) -> list[float]:
    """Per round, what ours adds to the bare app as a share of what the peer adds."""
    rounds = zip(times[ours], times[peer], times[bare], strict=True)
    return [(one - nothing) / (other - nothing) for one, other, nothing in rounds if other > nothing]


def main() -> int:
    """Print the table; 1 if something that was timed did not arrive."""
    kept = capture()
    requests, arrived = request_variants(kept)
    times = measure(requests, kept.clear)
    updates = update_variants()
    recorded = measure(updates, kept.clear)
    rows = [
        Row(
            "request: all three signals, to prometheus-fastapi-instrumentator's metrics",
            added(times, "ours", "instrumentator", "bare"),
            1.0,
        ),
        Row("request: the same, to the ASGI instrumentation as it comes", added(times, "ours", "contrib", "bare"), 0.25),
        Row(
            "track_rag_query, to the same updates through opentelemetry-api",
            [one / other for one, other in zip(recorded["ours"], recorded["api"], strict=True)],
            0.6,
        ),
    ]
    table = Table("processor time, ratio", "median", "quartiles", "aim", "")
    for row in rows:
        table.add_row(*row.cells())
    Console(width=120).print(table)
    missing = asyncio.run(arrived())
    if missing:
        sys.stderr.write(f"not everything that was timed arrived: {missing}\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
