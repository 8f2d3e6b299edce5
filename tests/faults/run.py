"""One row: the load, the fault, and the account once everything has arrived or had its time."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from otel_tutor.errors import StackError
from otel_tutor.tools.stack.native.stack import NativeStack
from otel_tutor.tools.stack.polling import wait_for
from tests.faults.account import Stored, increases, read_stored, totals
from tests.faults.hops import account
from tests.faults.load import Answer, read_answers
from tests.faults.rows import Row
from tests.faults.scene import REPOSITORY, Scene
from tests.faults.watch import Watch

__all__ = ["run_row"]

SETTLE: Final = 180.0  # seconds for what is on its way to arrive; Jaeger is slow where the processors are busy


def run_row(row: Row, stack: NativeStack, ports: dict[str, int], folder: Path, rate: float) -> dict[str, Any]:
    """Run it; what is known afterwards, as it is kept in build/faults.json."""
    service = f"{row.name}-{int(time.time())}"
    scene = Scene(stack, ports, service, folder, server=row.server, prefix=row.prefix)
    scene.disk = stack.data / row.disk if row.disk else None
    watch = Watch(ports, service, scene.pids)
    row.before(scene)
    scene.start_app()
    watch.start()
    began = time.time()
    try:
        load, answers = _Load(folder / f"{service}.load", scene.port, rate), list[Answer]()
        time.sleep(row.warm)
        fault_at = time.time()
        row.act(scene)
        fault_end = time.time()
        recovery = _recovery(scene, fault_end, row.after)
        time.sleep(max(0.0, fault_end + row.after - time.time()))
        answers = load.end()
        scene.ask("/flush")
        result = _result(row, scene, answers, watch, (began, fault_at, fault_end))
        scene.ask("/flush")  # of what the first one sent, too
        time.sleep(1)
        watch.stop()
    finally:
        if watch.is_alive():
            watch.stop()
        scene.end()
    memory = watch.memory or [0]
    return {
        **result,
        "recovery": recovery,
        "alerts": {name: round(at - fault_at, 1) for name, at in watch.alerts.items() if at > fault_at},
        "alerts before": sorted(name for name, at in watch.alerts.items() if at <= fault_at),
        "memory": {"first": memory[min(10, len(memory) - 1)] / 1e6, "most": max(memory) / 1e6},
        "hops": {name: round(count) for name, count in sorted(watch.counts.items()) if count},
        "account": account(watch.counts, watch.gauges, collector_speaks=not watch.restarts) if row.speaks else [],
        "waiting": {name: size for name, size in sorted(watch.gauges.items()) if size},
        "printed": len([line for line in scene.output.splitlines() if line.strip()]),
        "lines": scene.output.splitlines()[:5],
    }


class _Load:
    """The load as a process, which is ended when the row is."""

    def __init__(self, path: Path, port: int, rate: float) -> None:
        self._path = path
        command = [sys.executable, "-m", "tests.faults.load", str(port), str(rate), "100000"]
        with path.open("w") as out:
            self._process = subprocess.Popen(command, cwd=REPOSITORY, stdout=out, stdin=subprocess.DEVNULL)

    def end(self) -> list[Answer]:
        self._process.terminate()
        self._process.wait()
        return read_answers(self._path.read_text(encoding="utf-8"))


def _recovery(scene: Scene, fault_end: float, limit: float) -> dict[str, float | None]:
    """Seconds from the end of the fault until what was sent after it is stored."""
    backends, found = scene.backends, dict[str, float | None]()
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(fault_end + 1))
    start_value = _counted(scene)

    def newer_logs() -> bool:
        rows = backends.logs(f'_time:>{since} service.name:="{scene.service}" | stats count() times', limit=1)
        return bool(rows) and int(rows[0]["times"]) > 0

    checks: dict[str, Callable[[], bool]] = {"logs": newer_logs, "metrics": lambda: _counted(scene) > start_value}
    deadline = fault_end + limit
    threads = []
    for name, check in checks.items():
        found[name] = None

        def poll(name: str = name, check: Callable[[], bool] = check) -> None:
            if wait_for(lambda: _quietly(check), bool, seconds=max(1.0, deadline - time.time())):
                found[name] = round(time.time() - fault_end, 1)

        threads.append(threading.Thread(target=poll))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def _quietly(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except StackError:
        return False


def _counted(scene: Scene) -> float:
    try:
        samples = scene.backends.query(f'sum(student_questions_total{{job="{scene.service}"}})')
    except StackError:
        return 0.0
    return samples[0].value if samples else 0.0


def _result(
    row: Row, scene: Scene, answers: list[Answer], watch: Watch, times: tuple[float, float, float]
) -> dict[str, Any]:
    began, fault_at, fault_end = times
    acknowledged = {str(number) for number, _, _, status in answers if status == 200}
    stored, seen = _settled(scene, acknowledged, watch, began)
    phases = {"before": (began + 5, fault_at), "during": (fault_at, fault_end), "after": (fault_end, time.time())}
    backends = scene.backends
    window = time.time() - began + 10
    return {
        "row": row.name,
        "fault": row.fault,
        "sent": len(answers),
        "acknowledged": len(acknowledged),
        "errors": len(answers) - len(acknowledged),
        "p99": {
            name: _p99([took for _, at, took, _ in answers if first <= at < last]) for name, (first, last) in phases.items()
        },
        "signals": {
            "logs": _account(acknowledged, stored.logs),
            "spans": _account(acknowledged, stored.spans),
            **{name: {"stored": count, "lost": len(acknowledged) - count} for name, count in seen.items()},
        },
        "roots": stored.roots,
        "increase": increases(backends, scene.service, window),
        "seconds": {"fault": round(fault_end - fault_at, 1), "all": round(time.time() - began, 1)},
    }


def _settled(scene: Scene, acknowledged: set[str], watch: Watch, began: float) -> tuple[Stored, dict[str, int]]:
    """What is stored once nothing is missing, or nothing has come for a while."""
    deadline, last, unchanged = time.monotonic() + SETTLE, -1, 0
    while True:
        window = time.time() - began + 10
        try:
            over = time.monotonic() > deadline
            stored = read_stored(scene.backends, scene.service, began - 1, time.time() + 1, without_traces=over)
            counted = totals(scene.backends, scene.service, window)
        except StackError:
            time.sleep(2)
            if over:
                raise
            continue
        complete = acknowledged <= stored.logs.keys() and acknowledged <= stored.spans.keys()
        size = len(stored.logs) + len(stored.spans) + sum(counted.values())
        waiting = any(bytes_ for name, bytes_ in watch.gauges.items() if "sdk" not in name)
        unchanged = 0 if size != last or waiting else unchanged + 1
        last = size
        if (complete and min(counted.values()) >= len(acknowledged) and unchanged) or unchanged >= 5 or over:
            return stored, counted
        time.sleep(2)


def _account(acknowledged: set[str], stored: Any) -> dict[str, int]:
    return {
        "stored": len(stored),
        "lost": len(acknowledged - stored.keys()),
        "duplicated": sum(times - 1 for times in stored.values()),
        "unacknowledged": len(stored.keys() - acknowledged),
    }


def _p99(durations: list[float]) -> float | None:
    return round(sorted(durations)[int(len(durations) * 0.99)] * 1000, 1) if durations else None
