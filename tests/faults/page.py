"""collector/losses.md, made of build/faults.json: `python -m tests.faults.page`."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.faults.__main__ import RESULTS
from tests.faults.explanations import EXPLANATIONS
from tests.faults.rows import NOT_RUN, ROWS
from tests.faults.scene import REPOSITORY

__all__ = ["page"]

PAGE: Final = REPOSITORY / "collector" / "losses.md"
SIGNALS: Final = ("spans", "logs", "counter", "histogram", "span metrics")
_HEAD: Final = """\
# What is lost, and when

Made by `make faults` and `python -m tests.faults.page`; edits belong in `tests/faults/`. An app under {rate:.0f} requests a second,
each with one span and its child, one log line, one count and one duration, all numbered. Each row is one fault, on the stack that
`otel-tutor up` starts. *Sent* is what the app answered with 200; *stored* is what was read back from Jaeger, VictoriaLogs and
Prometheus afterwards; *lost* is the difference, item by item. Of a signal that lost nothing and has no duplicates only the
number is shown. Counts in Prometheus are every step up of every series.

*Recovery*: seconds from the end of the fault until log lines and counts that were sent after it are stored. *Alert*: what
fired, with timers of a drill, and seconds since the fault began. *P99*: before, during and after it, in milliseconds; `errors`
are answers that the client did not get.

"""


def page(results: Mapping[str, Any]) -> str:
    """The document."""
    rates = {result["rate"] for result in results.values()} or {60.0}
    return "".join([_HEAD.format(rate=max(rates)), *_table(results), "\n", *_explanations(results), *_account(results)])


def _table(results: Mapping[str, Any]) -> Iterator[str]:
    yield f"| fault | sent | {' | '.join(SIGNALS)} | recovery: logs, counts | alert | P99 | errors | RSS MB | lines printed |\n"
    yield f"|{'---|' * (len(SIGNALS) + 8)}\n"
    for name, row in ROWS.items():
        if name not in results:
            yield f"| {row.fault} | not run |{' |' * (len(SIGNALS) + 6)}\n"
            continue
        yield _row(results[name])
    for fault, reason in NOT_RUN.items():
        yield f"| {fault} | not run: {reason} |{' |' * (len(SIGNALS) + 6)}\n"


def _row(result: Mapping[str, Any]) -> str:
    cells = [_cell(result["signals"][signal]) for signal in SIGNALS]
    recovery = ", ".join("-" if seconds is None else f"{seconds:.0f}" for seconds in result["recovery"].values())
    alerts = ", ".join(f"{name} {seconds:.0f}" for name, seconds in result["alerts"].items()) or "-"
    p99 = " / ".join("-" if value is None else f"{value:.0f}" for value in result["p99"].values())
    memory = f"{result['memory']['first']:.0f} / {result['memory']['most']:.0f}"
    rest = (recovery, alerts, p99, str(result["errors"]), memory, str(result["printed"]))
    return f"| {result['fault']} | {result['acknowledged']:,} | {' | '.join([*cells, *rest])} |\n"


def _cell(signal: Mapping[str, int]) -> str:
    notes = []
    if signal["lost"] > 0:
        notes.append(f"lost {signal['lost']:,}")
    if signal.get("duplicated"):
        notes.append(f"duplicated {signal['duplicated']:,}")
    if signal["lost"] < 0:
        notes.append(f"{-signal['lost']:,} more than answered")
    return f"{signal['stored']:,}" + (f" ({', '.join(notes)})" if notes else "")


def _explanations(results: Mapping[str, Any]) -> Iterator[str]:
    yield "## Each loss, and its bound\n\n"
    for name, row in ROWS.items():
        if name in results and name in EXPLANATIONS:
            yield f"- **{row.fault}**: {EXPLANATIONS[name]}\n"


def _account(results: Mapping[str, Any]) -> Iterator[str]:
    yield "\n## In = out + lost + waiting\n\n"
    yield "The same by the counters of the SDK and the Collector, at the end of each row. A hop whose process was killed has no last\n"
    yield "word: its row is left out there.\n\n"
    yield "| fault | signal | recorded | sent by the SDK | lost by the SDK | taken by the Collector | handed on | lost there | waiting | difference |\n"
    yield f"|{'---|' * 10}\n"
    for name in ROWS:
        for line in results.get(name, {}).get("account", ()):
            cells = [
                "-" if line[key] is None else f"{line[key]:,.0f}"
                for key in ("recorded", "sent", "lost", "taken", "handed", "lost there", "waiting", "difference")
            ]
            yield f"| {results[name]['fault']} | {line['signal']} | {' | '.join(cells)} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(json.loads(RESULTS.read_text(encoding="utf-8"))), encoding="utf-8")
