"""Writes the table of the README from what was measured: `python -m tests.bench.readme`, after `make bench`."""

import itertools
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.__main__ import RESULTS

__all__ = ["replace", "table"]

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- bench -->", "<!-- /bench -->"
HEAD = ("what", "beside", "ours", "theirs", "ratio (quartiles)", "aim", "")


def main() -> int:
    """Replace what is between the two marks; 1 if there are no results."""
    results = Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS
    if not results.exists():
        sys.stderr.write(f"{results} does not exist: run make bench\n")
        return 1
    README.write_text(replace(README.read_text(encoding="utf-8"), table(json.loads(results.read_text()))), encoding="utf-8")
    return 0


def replace(text: str, between: str) -> str:
    """The text with this between its marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{between}{END}{after}"


def table(results: Mapping[str, Any]) -> str:
    """The rows that have an aim, in Markdown, and what they were measured on."""
    lines = [_line(HEAD), _line(["---"] * len(HEAD))]
    for group in results.values():
        if isinstance(group, list):
            lines += [_line(cells) for cells in _cells([row for row in group if row["aim"] is not None])]
    return "\n".join([results["conditions"], "", *lines, ""])


def _cells(rows: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[str]]:
    for _, of_key in itertools.groupby(rows, key=lambda row: (row["family"] or row["what"], row["peer"])):
        family = list(of_key)
        first = family[0]
        what = first["what"] if len(family) == 1 else f"{first['family']}, {_sizes(family)}"
        sign = "≥" if first["at_least"] else "≤"
        ratios = [f"{row['value']:.2f} ({row['low']:.2f} - {row['high']:.2f})" for row in family]
        verdicts = list(dict.fromkeys(row["verdict"] for row in family))
        yield (
            what,
            first["peer"],
            " / ".join(row["ours"] for row in family),
            " / ".join(row["theirs"] for row in family),
            " / ".join(ratios),
            f"{sign} {first['aim']:g}",
            verdicts[0] if len(verdicts) == 1 else " / ".join(row["verdict"] for row in family),
        )


def _sizes(rows: Sequence[Mapping[str, Any]]) -> str:
    """By which number of connections rows differ."""
    sizes = [row["what"].split(", ")[1].split(" ")[0] for row in rows]
    return f"{' / '.join(sizes)} connections"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
