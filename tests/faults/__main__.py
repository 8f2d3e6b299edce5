"""The faults, one after the other, on a stack under load: `make faults`, or `python -m tests.faults ROW...`."""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from otel_tutor.tools.stack.native.stack import NativeStack
from tests.faults.rows import ROWS
from tests.faults.run import run_row
from tests.faults.scene import REPOSITORY, stack_of

RESULTS = REPOSITORY / "build" / "faults.json"


def main() -> int:
    """Run the rows and keep what was seen, by row; rows that are not run keep what they had."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"one of {', '.join(ROWS)}; all of them without any")
    parser.add_argument("--rate", type=float, default=60.0, help="requests a second")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    unknown = set(options.rows) - ROWS.keys()
    if unknown:
        parser.error(f"there is no row {', '.join(sorted(unknown))}")
    failed: list[str] = []
    rows = [ROWS[name] for name in options.rows or ROWS]
    with tempfile.TemporaryDirectory() as folder, _stacks(Path(folder)) as stack_for:
        for row in rows:
            stack, ports = stack_for(row.disk)
            try:
                result = run_row(row, stack, ports, Path(folder), options.rate)
            except Exception as error:  # the other rows are worth running
                failed.append(f"{row.name}: {type(error).__name__}: {error}")
                continue
            keep(options.results, {**result, "rate": options.rate})
    sys.stderr.writelines(f"{line}\n" for line in failed)
    return 1 if failed else 0


@contextmanager
def _stacks(folder: Path) -> Iterator[Any]:
    """What gives a row its stack: the one that rows share, or another."""
    opened: list[Any] = []

    def stack_for(disk: str) -> tuple[NativeStack, dict[str, int]]:
        if opened and (disk or opened[-1][1]):
            opened.pop()[0].__exit__(None, None, None)
        if not opened:
            manager = stack_of(folder / f"stack{time.monotonic_ns()}", disk)
            opened.append((manager, disk, manager.__enter__()))
        found: tuple[NativeStack, dict[str, int]] = opened[-1][2]
        return found

    try:
        yield stack_for
    finally:
        while opened:
            opened.pop()[0].__exit__(*sys.exc_info())


def keep(path: Path, result: dict[str, Any]) -> None:
    """Add or replace a row's result, and print it in short."""
    path.parent.mkdir(exist_ok=True)
    results = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    path.write_text(json.dumps({**results, result["row"]: result}, indent=1), encoding="utf-8")
    sys.stdout.write(f"{json.dumps({name: of for name, of in result.items() if name != 'lines'})}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
