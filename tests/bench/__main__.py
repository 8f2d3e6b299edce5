"""What telemetry costs, beside what else could have been used: `make bench`, or `python -m tests.bench requests updates`.

Exits with 1 and one line if something that was timed did not arrive.
"""

import argparse
import importlib
import importlib.metadata
import json
import os
import platform
import sys
import time
from pathlib import Path

from rich.console import Console

from tests.bench.plots import draw
from tests.bench.processes import Effort, LostError
from tests.bench.table import terminal_table

GROUPS = (
    "requests",
    "updates",
    "questions",
    "statements",
    "logs",
    "imports",
    "memory",
    "collection",
    "servers",
    "collectors",
    "freshness",
    "growth",
)
RESULTS = Path(__file__).parents[2] / "build" / "bench.json"


def main() -> int:
    """Run groups, print their tables, keep what was measured; 1 if something was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.splitlines()[0])
    parser.add_argument("groups", nargs="*", metavar="group", help=f"of {', '.join(GROUPS)}; all if there is none")
    parser.add_argument("--quick", action="store_true", help="few rounds, to see that it works")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the figures are kept, as JSON")
    parser.add_argument("--plots", type=Path, default=RESULTS.parent, help="the folder for pictures of them")
    chosen = parser.parse_args()
    if unknown := set(chosen.groups) - set(GROUPS):
        parser.error(f"there is no group {min(unknown)!r}")
    effort = Effort.quick() if chosen.quick else Effort()
    lost = [problem for group in chosen.groups or GROUPS if (problem := run(group, effort, chosen.results))]
    if chosen.results.exists():
        draw(json.loads(chosen.results.read_text(encoding="utf-8")), chosen.plots)
    if lost:
        sys.stderr.write(f"not everything that was timed arrived: {'; '.join(lost)}\n")
    return 1 if lost else 0


def run(group: str, effort: Effort, results: Path) -> str:
    """Measure one group and print its table; what was lost, or nothing."""
    began = time.monotonic()
    module = importlib.import_module(f"tests.bench.{group}")
    try:
        rows = module.rows(effort)
    except LostError as error:
        return f"{group}: {error}"
    Console(width=180).print(terminal_table(f"{group} ({time.monotonic() - began:.0f} s)", rows))
    results.parent.mkdir(parents=True, exist_ok=True)
    kept = json.loads(results.read_text(encoding="utf-8")) if results.exists() else {}
    kept |= {"conditions": conditions(), group: [row.as_json() for row in rows]}
    in_order = {name: kept[name] for name in ("conditions", *GROUPS) if name in kept}
    results.write_text(json.dumps(in_order, indent=1, ensure_ascii=False), encoding="utf-8")
    return ""


def conditions() -> str:
    """What this runs on, in a sentence."""
    packages = ("opentelemetry-sdk", "fastapi", "starlette")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    model = next(
        (line.partition(": ")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    today = time.strftime("%Y-%m-%d", time.gmtime())
    return f"{today}, {os.cpu_count()} processors ({model}), Python {platform.python_version()}, {versions}."


if __name__ == "__main__":
    sys.exit(main())
