"""One process of the fuzz: calls with whatever values, a real export of what they record, and what must hold at the end."""

import argparse
import faulthandler
import gc
import json
import logging
import random
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psutil
from opentelemetry import trace

import otel_tutor
from otel_tutor.monitoring import metrics_collector
from otel_tutor.recording.state import state
from otel_tutor.tracing import trace_operation
from tests.fuzz.calls import CALLS, Chance
from tests.support.receiver import Receiver, receiver

ROUND: Final = 5_000  # calls between two looks at memory
HANGS: Final = 60.0  # seconds
OURS: Final = str(Path(otel_tutor.__file__).parent)
WEIGHTS: Final = {"health": 0.05, "checks": 0.3, "configure": 0.3, "configure with options": 0.3}


class Findings:
    """What went wrong, each kind once with an example."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        self.examples: dict[str, str] = {}

    def add(self, name: str, error: BaseException, where: str) -> None:
        """Note an exception that reached the caller."""
        cause = error.__cause__ or error
        frames = traceback.extract_tb(cause.__traceback__)
        if name in {"log", "makeLogRecord"} and not any(OURS in frame.filename for frame in frames):
            return  # of logging itself
        if any(frame.line == "call_handlers(logger, record)" for frame in frames):
            return  # of logging itself
        ours = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames if OURS in frame.filename]
        kind = f"{name}: {type(error).__name__} {type(cause).__name__} at {ours[-1] if ours else '-'}"
        self.count[kind] += 1
        if kind not in self.examples:
            lines = [f"  {frame.filename}:{frame.lineno} {frame.name}: {frame.line}" for frame in frames[-12:]]
            self.examples[kind] = "\n".join([where, *lines])


class Lines(logging.Handler):
    """Counts the lines of our loggers, as the app's log would have them."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        """Count it by its kind, and format it as a console does."""
        if record.name.startswith(("otel_tutor", "opentelemetry", "grpc")):
            once = record.getMessage()[:80] if "is no" in str(record.msg) else str(record.msg)
            self.seen[f"{record.name}: {once[:100]}"] += 1


def fuzz(seed: int, first: int, calls: int, findings: Findings, only: str) -> Iterator[int]:
    """Make the calls; yields after each round."""
    names = [name for name in CALLS if only in name]
    weights = [WEIGHTS.get(name, 1.0) for name in names]
    for number in range(first, first + calls):
        chance = random.Random(f"{seed} {number}")
        name = chance.choices(names, weights)[0]
        started = time.perf_counter()
        try:
            CALLS[name](Chance(chance))
        except BaseException as error:
            try:
                findings.add(name, error, f"seed {seed}, call {number}")
            except BaseException as again:
                findings.add(
                    name, RuntimeError(f"{type(error).__name__} {type(again).__name__}"), f"seed {seed}, call {number}"
                )
        if (seconds := time.perf_counter() - started) > 2:
            findings.count[f"{name}: took {seconds:.0f} s, seed {seed}, call {number}"] += 1
        if (number + 1) % ROUND == 0:
            yield number + 1


def canary(number: int) -> None:
    """A series, a span and a line that must arrive."""
    metrics_collector.track_sync(0.25, f"canary-{number}" if number < 3 else "canary")
    with trace_operation(f"canary {number}"):
        logging.getLogger("fuzz.canary").warning("canary %d", number)


def arrived(kept: Receiver, number: int) -> list[str]:
    """Which of the signals brought the canary."""
    canary(number)
    otel_tutor.flush(30)
    return [
        name
        for name, there in (
            ("metric", "tutor.syncs" in kept.points or any("sync" in each for each in kept.points)),
            ("span", any(span.name == f"canary {number}" for span in kept.spans)),
            ("line", f"canary {number}" in kept.bodies),
        )
        if there
    ]


def main() -> int:
    """Run, print what was found, and return 1 for anything."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    lines = Lines()
    logging.basicConfig(level=logging.INFO, handlers=[lines])
    logging.raiseExceptions = False
    findings = Findings()
    memory: list[float] = []
    with receiver(largest=-1) as kept:
        otel_tutor.configure(endpoint=kept.address, service_name="fuzz")
        started = time.monotonic()
        faulthandler.dump_traceback_later(HANGS, exit=True)
        for number in fuzz(options.seed, options.first, options.calls, findings, options.only):
            faulthandler.dump_traceback_later(HANGS, exit=True)
            signals = arrived(kept, number)
            if len(signals) < 3:
                findings.count[f"after {number} calls only {signals} arrived"] += 1
                sys.stderr.write(
                    f"{number} {signals} {len(kept.spans)} {kept.requests} {trace.get_current_span()} {state.lost}\n"
                )
            kept.clear()
            gc.collect()
            memory.append(psutil.Process().memory_info().rss / 2**20)
        seconds = time.monotonic() - started
    minutes = 1 + seconds / 60
    flood = {line: count for line, count in lines.seen.items() if count > minutes + 1}
    report: dict[str, Any] = {
        "seed": options.seed,
        "calls": options.calls,
        "seconds": round(seconds),
        "memory": [round(one) for one in memory[:: max(1, len(memory) // 10)]],
        "internal errors": state.internal_errors,
        "flood": flood,
        "lost": {f"{signal}, {reason}": count for (signal, reason), count in state.lost.items() if count},
        "findings": dict(findings.count.most_common()),
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    for kind, example in findings.examples.items():
        sys.stdout.write(f"\n{kind}\n{example}\n")
    return bool(findings.count or flood)


if __name__ == "__main__":
    raise SystemExit(main())
