"""Recording from signal handlers, finalisers, at-fork hooks and at the end of the interpreter: does anything wait for ever?

    python -m tests.fuzz.interruptions KIND TRIES

Kinds: signal, finaliser, weakref, fork, exit. What interrupts records a series that is new, a span, events of the current
span and lines, as does what is interrupted. Prints how many tries there were; a hang prints every stack and exits with 1.
"""

import contextvars
import faulthandler
import gc
import itertools
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Final

from opentelemetry import trace

import otel_tutor
from otel_tutor.monitoring import metrics_collector, track_time
from otel_tutor.rag import feedback
from otel_tutor.tracing import add_span_event, trace_operation
from tests.support.receiver import Receiver, receiver

NOWHERE: Final = "http://127.0.0.1:1"
HANGS: Final = 60.0  # seconds without progress
SERIES: Final = 1_000_000  # no label is ever cut short here
# getLogger() itself waits for a lock of logging's, which a thread that Python stopped may hold.
LOGGERS: Final = [logging.getLogger(f"fuzz.{number}") for number in range(1000)]
recorded = itertools.count()  # of the next is the number of those before


def record() -> None:
    """Something of each kind, most of it for the first time."""
    number = next(recorded)
    metrics_collector.track_student_activity(f"subject {number}", "topic")
    span = trace.get_current_span()
    span.set_attributes({"list": [number], "plain": number})
    add_span_event("interrupted", {"number": number})
    with trace_operation("inside", {"list": [1, 2]}):
        LOGGERS[number % 1000].info("a line", extra={"number": number})
        LOGGERS[number % 1000].info("another", extra={"odd": object()})
    if number % 50 == 0:
        track_time(f"work {number % 500}")(lambda: None)()
        feedback("", 1.0, "good")


def configure(endpoint: str) -> None:
    """As an app does, with labels that may have any value."""
    logging.basicConfig(level=logging.INFO, handlers=[logging.NullHandler()])
    limits = {"tutor.subject": SERIES}
    otel_tutor.configure(endpoint=endpoint, service_name="fuzz", cardinality_limits=limits, instrument=False)


def work(until: Callable[[], bool]) -> None:
    """What is interrupted."""
    for number in itertools.count():
        with trace_operation("outside", {"list": [number]}):
            record()
        if number % 100 == 0:
            if threading.current_thread() is threading.main_thread():
                faulthandler.dump_traceback_later(HANGS, exit=True)
            if until():
                return


def by_signal(tries: int) -> int:
    """A handler runs at many points of what it interrupts, itself included."""
    handled = itertools.count(1)
    seen = [0]

    def handle(*_: object) -> None:
        seen[0] = next(handled)
        record()

    signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0007)
    work(lambda: seen[0] >= tries)
    signal.setitimer(signal.ITIMER_REAL, 0)
    return seen[0]


class Left:
    """Garbage that only the collector finds, and that records as it goes."""

    seen = 0

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        Left.seen += 1
        contextvars.copy_context().run(record)  # until Python 3.12, changing the same context here crashes Python itself


def by_finaliser(tries: int) -> int:
    """The garbage collector runs at nearly every allocation."""
    gc.freeze()
    gc.set_threshold(3, 50, 1000)

    def litter() -> bool:
        return Left.seen >= tries

    def leave() -> None:
        while not litter():
            Left()
            time.sleep(0)

    threads = [threading.Thread(target=leave) for _ in range(2)]
    for thread in threads:
        thread.start()
    work(litter)
    for thread in threads:
        thread.join()
    gc.set_threshold(700, 10, 10)
    return Left.seen


def by_weakref(tries: int) -> int:
    """The same with callbacks of weak references."""
    seen = itertools.count(1)
    last = [0]

    class Cycle:
        def __init__(self) -> None:
            self.itself = self
            weakref.finalize(self, gone).atexit = False

    def gone() -> None:
        last[0] = next(seen)
        contextvars.copy_context().run(record)

    gc.freeze()
    gc.set_threshold(3, 50, 1000)

    def leave() -> None:
        while last[0] < tries:
            Cycle()
            time.sleep(0)

    thread = threading.Thread(target=leave)
    thread.start()
    work(lambda: last[0] >= tries)
    thread.join()
    gc.set_threshold(700, 10, 10)
    return last[0]


def by_fork(tries: int) -> int:
    """Each child records in hooks, while threads of its parent record as well."""
    done = threading.Event()
    threads = [threading.Thread(target=work, args=(done.is_set,), daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(tries):
        child = os.fork()
        if not child:
            record()
            os.kill(os.getpid(), signal.SIGKILL)
        wait_for(child, number, -signal.SIGKILL)
    done.set()
    return tries


def by_exit(tries: int) -> int:
    """Each child is configured, and ends as Python ends, with threads that go on and objects that are still there."""
    sink = subprocess.Popen(
        [sys.executable, "-m", "tests.fuzz.interruptions", "sink", "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert sink.stdout
    endpoint = sink.stdout.readline().strip()
    for number in range(tries):
        child = os.fork()
        if not child:
            end(number, endpoint)
        wait_for(child, number, 0)
    sink.terminate()
    sink.wait()
    return tries


def serve() -> int:
    """What children export to, until it is terminated."""
    with receiver(largest=-1) as kept:
        sys.stdout.write(f"{kept.address}\n")
        sys.stdout.flush()
        while True:
            time.sleep(1)
            kept.clear()


def wait_for(child: int, number: int, expected: int) -> None:
    """Raise unless a child ends in time, as it is to end."""
    deadline = time.monotonic() + HANGS
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGUSR1)  # prints its stacks
            time.sleep(1)
            os.kill(child, signal.SIGKILL)
            raise SystemExit(f"child {number} hangs")
        time.sleep(0.001)
    if os.waitstatus_to_exitcode(ended[1]) != expected:
        raise SystemExit(f"child {number} ended with {ended[1]}")


def end(number: int, endpoint: str) -> None:
    """What a child does: it records at its end, in each way."""
    import atexit

    atexit.register(record)
    configure(endpoint)
    atexit.register(record)
    for _ in range(2):
        threading.Thread(target=work, args=(bool,), daemon=True).start()
    sys.modules["left"] = Left()  # type: ignore[assignment]  # until modules are cleared
    record()
    time.sleep(number % 7 / 1000)
    sys.exit(0)


def counted(kept: Receiver) -> int:
    """The measurements that an export has, of all series."""
    kept.clear()
    otel_tutor.flush(60)
    points = kept.points.get("student.questions", [])
    last = {str(point.attributes): round(point.as_double or point.as_int) for point in points}  # there may be two exports
    return sum(last.values())


KINDS: Final[dict[str, Callable[[int], int]]] = {
    "signal": by_signal,
    "finaliser": by_finaliser,
    "weakref": by_weakref,
    "fork": by_fork,
    "exit": by_exit,
}


def main(kind: str, tries: int) -> None:
    """Interrupt so many times, and see whether all that was recorded is exported."""
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    if kind == "sink":
        serve()
    started, expected, found = time.monotonic(), 0, 0
    if kind == "exit":
        done = by_exit(tries)
    elif kind == "fork":  # which a server of gRPC's does not survive
        os.register_at_fork(before=record, after_in_parent=record, after_in_child=record)
        configure(NOWHERE)
        os.register_at_fork(before=record, after_in_parent=record, after_in_child=record)
        done = by_fork(tries)
    else:
        with receiver(largest=-1) as kept:
            configure(kept.address)
            done = KINDS[kind](tries)
            faulthandler.cancel_dump_traceback_later()
            found, expected = counted(kept), next(recorded)
    report: dict[str, Any] = {"kind": kind, "tries": done, "seconds": round(time.monotonic() - started)}
    sys.stdout.write(f"{report} recorded {expected}, exported {found}\n")
    sys.stdout.flush()
    if expected != found:
        raise SystemExit("some of it is missing")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
