"""A process that runs rounds of one variant when it is asked to: `python -m tests.bench.worker MODULE NAME`.

It reads "round" or "check" from standard input, a line each, and answers with a line of JSON.
"""

import gc
import importlib
import json
import os
import sys
import time

from tests.bench.trial import Trial

__all__ = ["main"]


def time_round(trial: Trial) -> dict[str, float]:
    """Processor seconds of a round, each divided by what it did: of the thread that did it, and of the process in all.

    The second has what was deferred in it. What a drain costs without anything to drain is due at each export, however
    many requests there are, so it is measured by a second drain and taken off.
    """
    gc.collect()
    began, began_thread = time.process_time(), time.thread_time()
    trial.run()
    path = time.thread_time() - began_thread
    drained = trial.sink.drain()
    in_all = time.process_time() - began
    trial.add(trial.sink.count(drained))
    del drained
    began = time.process_time()
    late = trial.sink.drain()
    idle = time.process_time() - began
    trial.add(trial.sink.count(late))
    trial.rounds += 1
    return {"path": path / trial.each, "all": (in_all - idle) / trial.each}


def main() -> None:
    """Answer until the input ends."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what a library prints must not be taken for an answer
    module, name = sys.argv[1:]
    trial: Trial = getattr(importlib.import_module(module), name)()
    for line in sys.stdin:
        answer = time_round(trial) if line.strip() == "round" else {"missing": trial.missing()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    os._exit(0)  # nothing is to be sent


if __name__ == "__main__":
    main()
