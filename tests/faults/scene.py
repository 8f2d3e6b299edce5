"""Where a row takes place: a stack with short timers, an app behind a server, and what may be done to them."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx2
import psutil

from otel_tutor.settings import shipped_config_dir
from otel_tutor.tools.exercise.environment import shorten_timers
from otel_tutor.tools.stack.backends import Backends
from otel_tutor.tools.stack.files import cache_folder
from otel_tutor.tools.stack.native.build import available
from otel_tutor.tools.stack.native.stack import NativeStack
from otel_tutor.tools.stack.polling import wait_for
from tests.support.ports import unused_ports
from tests.support.stack import APP_AND_PAGE

__all__ = ["GUNICORN", "UVICORN", "Scene", "stack_of"]

_DISK: Final = "160m"  # Jaeger's store takes 100 MB when it is empty
REPOSITORY: Final = Path(__file__).parents[2]
UVICORN: Final = ("uvicorn", "--port={port}", "--no-access-log", "--log-level=warning", "tests.faults.app:app")
GUNICORN: Final = (
    "gunicorn",
    "--worker-class=asgi",
    "--bind=127.0.0.1:{port}",
    "--log-level=warning",
    "tests.faults.app:app",
)


@dataclass
class Scene:
    """One row's app on a stack. `pids` are the servers that were started, the last one serves."""

    stack: NativeStack
    ports: dict[str, int]
    service: str
    folder: Path
    server: Sequence[str] = UVICORN
    prefix: Sequence[str] = ()
    endpoint: str = ""
    pids: list[int] = field(default_factory=list)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    helpers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    disk: Path | None = None  # of one component

    @property
    def port(self) -> int:
        return self.ports["app"]

    def __post_init__(self) -> None:
        self.backends = Backends(self.ports)

    @property
    def output(self) -> str:
        """What the app has printed, all servers of the row."""
        return (self.folder / f"{self.service}.log").read_text(encoding="utf-8", errors="replace")

    def start_app(self) -> None:
        """Start a server and wait until it answers."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
        environment = {
            **kept,
            "OTEL_SERVICE_NAME": self.service,
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.endpoint or f"http://127.0.0.1:{self.ports['otlp']}",
            "OTEL_TUTOR_DATA": str(self.stack.data),
        }
        command = [*self.prefix, sys.executable, "-m", *(part.format(port=self.port) for part in self.server)]
        with (self.folder / f"{self.service}.log").open("a") as log:
            process = subprocess.Popen(
                command, cwd=REPOSITORY, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        self.processes.append(process)
        self.pids.append(process.pid)
        if not wait_for(self.answers, bool, seconds=60):
            raise SystemExit(f"{self.service}: the app does not answer: {self.output[-500:]}")

    def answers(self) -> bool:
        """Whether the app is there."""
        return self.ask("/holds") is not None

    def ask(self, path: str, seconds: float = 15) -> httpx2.Response | None:
        """An answer of the app."""
        try:
            return httpx2.get(f"http://127.0.0.1:{self.port}{path}", trust_env=False, timeout=seconds)
        except httpx2.HTTPError:
            return None

    def end_app(self, how: signal.Signals = signal.SIGTERM, seconds: float = 40) -> None:
        """End the server that serves, and wait for it."""
        process = self.processes[-1]
        children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.send_signal(how)
        process.wait(seconds)
        psutil.wait_procs(children, timeout=10)

    def start_proxy(self) -> None:
        """Put a network between the app and the Collector that can be made bad."""
        port = unused_ports()["otlp"]
        self.network("pass")
        target, mode = str(self.ports["otlp"]), str(self.folder / "network")
        command = [sys.executable, "-m", "tests.faults.proxy", str(port), target, mode]
        self.helpers.append(subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        self.endpoint = f"http://127.0.0.1:{port}"

    def network(self, mode: str) -> None:
        """Make the network good or bad."""
        (self.folder / "network").write_text(mode, encoding="utf-8")

    def fill_disk(self) -> None:
        """Take all that is left of the small disk."""
        assert self.disk
        with (self.disk / "filler").open("wb") as filler, contextlib.suppress(OSError):
            while True:
                filler.write(bytes(65_536))
                filler.flush()

    def free_disk(self) -> None:
        """Give it back."""
        assert self.disk
        (self.disk / "filler").unlink()

    def end(self) -> None:
        """End whatever is left of the app."""
        self.backends.__exit__()
        for helper in self.helpers:
            helper.kill()
            helper.wait()
        for process in self.processes:
            if process.poll() is None:
                self.end_app()

    def component(self, name: str) -> psutil.Process:
        """The process of a component."""
        pid = self.stack.supervisor.processes()[name]["pid"]
        return psutil.Process(pid)

    def stop(self, name: str) -> None:
        self.stack.supervisor.stop_program(name)

    def start(self, name: str) -> None:
        self.stack.supervisor.start_program(name)

    def edit(self, file: str, pattern: str, new: str) -> str:
        """Change a file of the stack's configuration; returns what it was."""
        path = self.stack.config_dir / file
        before = path.read_text(encoding="utf-8")
        after, count = re.subn(pattern, new, before)
        if not count:
            raise ValueError(f"{pattern!r} is not in {path}")
        path.write_text(after, encoding="utf-8")
        return before


@contextmanager
def stack_of(folder: Path, disk: str = "") -> Iterator[tuple[NativeStack, dict[str, int]]]:
    """A stack with timers of alerts as in drills. disk: the component whose data are on a small disk."""
    binaries, missing = available(shipped_config_dir(), cache_folder())
    if missing:
        raise SystemExit("the stack is not built: run otel-tutor build")
    ports, stack = unused_ports(), NativeStack(folder, binaries=binaries, die_with_parent=True)

    if disk:
        (folder / disk).mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", str(folder / disk)], check=True)
    stack.up(ports, without=(*APP_AND_PAGE, "blackbox"), edit=shorten_timers)
    try:
        with Backends(ports) as backends:
            wait_for(lambda: _firing(backends), lambda names: names == {"Watchdog"}, seconds=90)
        yield stack, ports
    finally:
        stack.down()
        if disk:
            subprocess.run(["umount", "--lazy", str(folder / disk)], check=True)


def _firing(backends: Backends) -> set[str]:
    """The alerts, without that about the prober, which is left out."""
    return {sample.labels["alertname"] for sample in backends.query('ALERTS{alertstate="firing",job!="blackbox"}')}
