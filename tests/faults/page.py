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

Made by `make faults` and `python -m tests.faults.page`; edits belong in `tests/faults/`. An app gets {rate:.0f} requests a
second, each with one span and its child, one log line, one count and one duration, all numbered. Each row is one fault, on
the stack that `otel-tutor up` starts. *Sent* is what the app answered with 200. The signals have what was read back from
Jaeger, VictoriaLogs and Prometheus afterwards, and what is missing or there twice, item by item. Counts in Prometheus are
every step up of every series.

*Recovery*: seconds from the end of the fault until log lines and counts that were sent after it are stored. *Alert*: what
fired, with the timers of a drill, and how many seconds after the fault began. *P99* of requests before, during and after
the fault, in milliseconds: two cores were shared with other work (a load of 4 to 12), so that only its order counts;
HighCPUUsage is of that work. *Errors*: requests that were not answered.

"""
_COLUMNS: Final = ("recovery: logs, counts", "alert", "P99", "errors", "RSS MB", "lines printed")
_LINE: Final = ("recorded", "sent", "lost", "taken", "handed", "lost there", "waiting", "difference")
_NAMES: Final = ("recorded", "sent", "lost", "taken by the Collector", "exported", "lost there", "waiting", "difference")
_ACCOUNT: Final = """
## In = out + lost + waiting

The same by the counters of the SDK and the Collector, at the end of each row. A process that was killed has no last word:
rows whose app was restarted are left out, and of a Collector that was restarted its hop. A difference of one or two is the
span of the request that asks the app for its last words.

"""


def page(results: Mapping[str, Any]) -> str:
    """The document."""
    rates = {result["rate"] for result in results.values()} or {60.0}
    return "".join([_HEAD.format(rate=max(rates)), *_table(results), "\n", *_explanations(results), *_account(results)])


def _table(results: Mapping[str, Any]) -> Iterator[str]:
    yield f"| fault | sent | {' | '.join([*SIGNALS, *_COLUMNS])} |\n|{'---|' * (len(SIGNALS) + 8)}\n"
    empty = " |" * (len(SIGNALS) + 6)
    for name, row in ROWS.items():
        yield _row(results[name]) if name in results else f"| {row.fault} | not run |{empty}\n"
    for fault, reason in NOT_RUN.items():
        yield f"| {fault} | not run: {reason} |{empty}\n"


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
        notes.append(f"twice {signal['duplicated']:,}")
    if signal["lost"] < 0:
        notes.append(f"{-signal['lost']:,} more than answered")
    return f"{signal['stored']:,}" + (f" ({', '.join(notes)})" if notes else "")


def _explanations(results: Mapping[str, Any]) -> Iterator[str]:
    yield "## Each loss, and its bound\n\n"
    for name, row in ROWS.items():
        if name in results and name in EXPLANATIONS:
            yield f"- **{row.fault}**: {EXPLANATIONS[name]}\n"


def _account(results: Mapping[str, Any]) -> Iterator[str]:
    yield f"{_ACCOUNT}| fault | signal | {' | '.join(_NAMES)} |\n|{'---|' * 10}\n"
    for name in ROWS:
        for line in results.get(name, {}).get("account", ()):
            cells = ["-" if line[key] is None else f"{line[key]:,.0f}" for key in _LINE]
            yield f"| {results[name]['fault']} | {line['signal']} | {' | '.join(cells)} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(json.loads(RESULTS.read_text(encoding="utf-8"))), encoding="utf-8")
