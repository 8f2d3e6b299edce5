"""The native stack of one data folder: up, down and what is running."""

import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import psutil

from otel_tutor import __version__
from otel_tutor.errors import StackError
from otel_tutor.settings import shipped_config_dir
from otel_tutor.tools.stack.components import BY_NAME, COMPONENTS
from otel_tutor.tools.stack.configuration import check_by_components, check_yaml, render_config
from otel_tutor.tools.stack.files import cache_folder, writable_dir
from otel_tutor.tools.stack.native.build import Binaries, provide
from otel_tutor.tools.stack.native.page import page_program
from otel_tutor.tools.stack.native.programs import Layout, Program, make_program, stack_environment
from otel_tutor.tools.stack.native.supervision import Supervisor
from otel_tutor.tools.stack.output import last_line
from otel_tutor.tools.stack.polling import wait_for
from otel_tutor.tools.stack.ports import Ports, check_free
from otel_tutor.tools.stack.progress import SILENT, Progress
from otel_tutor.tools.stack.project import active_config_dir
from otel_tutor.tools.stack.protocol import NATIVE, LogCommand
from otel_tutor.tools.stack.readiness import answers, wait_until_ready
from otel_tutor.tools.stack.state import StackState
from otel_tutor.tools.stack.status import Status

__all__ = ["NativeStack"]

_READY_SECONDS: Final = 60  # generous: a component that recovers a large write-ahead log is slow to be ready
_ALIVE: Final = ("STARTING", "RUNNING")
_TAIL_LINES: Final = "20"


class NativeStack:
    """The components that run as processes on one data folder, with the ports they were started with.

    Without `binaries`, those on PATH or in the cache are used, and what is missing is built. With `die_with_parent`, the
    stack ends when the process that started it does.
    """

    mode = NATIVE

    def __init__(self, data: Path, *, binaries: Binaries | None = None, die_with_parent: bool = False) -> None:
        self.data = data
        self.config_dir = data / "config"
        self.state = StackState(data)
        self.supervisor = Supervisor(data)
        self._binaries = binaries
        self._die_with_parent = die_with_parent

    @property
    def data_location(self) -> str:
        """Where the components' data stay: the data folder."""
        return str(self.data)

    def is_running(self) -> bool:
        """Whether this data folder's stack is up."""
        return self.state.exists() and self.supervisor.is_running()

    def prepare(
        self,
        *,
        without: Sequence[str] = (),  # noqa: ARG002 - files are checked with the tools of every component
        progress: Progress = SILENT,
    ) -> None:
        """Build the binaries that are neither installed nor in the cache. Raises BuildError."""
        if self._binaries is None:
            self._binaries = provide(shipped_config_dir(), cache_folder(), progress)

    def up(
        self,
        ports: Ports,
        *,
        overlays: Sequence[str] = (),
        without: Sequence[str] = (),
        extra: Sequence[Program] = (),
        edit: Callable[[Path], None] = lambda _: None,
        progress: Progress = SILENT,
    ) -> None:
        """Start every program in order, each when the one before is ready, then those that are `extra`.

        `edit` may change the copy of the configuration that is made for this start.
        `overlays` are merged over the Collector's configuration: names of those shipped, or paths.
        Raises StackError, with everything stopped again, when one does not get ready.
        """
        check_yaml(active_config_dir())
        self.prepare(progress=progress)
        layout = Layout(
            binaries=self._binaries or {}, configuration=self.config_dir, data=self.data, ports=ports, overlays=overlays
        )
        environment = stack_environment(layout)
        with writable_dir(self.data):
            check_by_components(layout.binaries, active_config_dir(), environment, overlays)
            render_config(active_config_dir(), self.config_dir, ports)
        edit(self.config_dir)
        programs = [*_programs(layout, without), *extra]
        self.supervisor.stop()  # what a crash may have left
        used = {name for program in programs for name in program.ports}
        check_free({name: ports[name] for name in ports if name in used})
        self.state.write(ports=ports, overlays=overlays, programs=[_recorded(program) for program in programs])
        try:
            self._start(programs, environment, progress)
        except BaseException:
            self.down()
            raise

    def down(self, *, volumes: bool = False) -> bool:  # noqa: ARG002 - there are none: the data are in the data folder
        """Stop everything. Returns whether anything was running."""
        was_running = self.state.exists() or bool(self.supervisor.processes_left())
        self.supervisor.stop()
        self.state.remove()
        return was_running

    def status(self) -> list[Status]:
        """Every program in starting order. Raises StackError when the stack is not running."""
        state = self.state.read()
        try:
            processes = self.supervisor.processes()
        except OSError:
            raise StackError("the supervisor died: clear up with `otel-tutor down`, then `otel-tutor up`") from None
        return [_status(program, processes[program["name"]], state["ports"]) for program in state["programs"]]

    def log_command(self, names: Sequence[str], *, follow: bool) -> LogCommand:
        """What shows the end of the programs' logs, each of which is a file."""
        more = ["-F"] if follow else []
        paths = [str(self._log(name)) for name in names]
        return LogCommand(words=["tail", "-n", _TAIL_LINES, *more, "--", *paths], folder=self.data)

    def _log(self, name: str) -> Path:
        return self.supervisor.logs / f"{name}.log"

    def _start(self, programs: Sequence[Program], environment: Mapping[str, str], progress: Progress) -> None:
        self.supervisor.start(programs, environment, die_with_parent=self._die_with_parent)
        for program in programs:
            progress.step(f"starting {program.name}")
            self.supervisor.start_program(program.name)
            self._wait(program)
        # Until supervisord reports every program as running: it watches each for its first second.
        wait_for(
            lambda: {process["statename"] for process in self.supervisor.processes().values()},
            lambda states: states == {"RUNNING"},
            seconds=5,
        )

    def _wait(self, program: Program) -> None:
        def check() -> bool | None:
            if self.supervisor.processes()[program.name]["statename"] not in _ALIVE:
                return False
            return answers(program.ready) or None

        def last_output() -> str:
            log = self._log(program.name)
            text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
            return f"{last_line(text)} (log: {log})"

        wait_until_ready(program.name, check, seconds=_READY_SECONDS, last_output=last_output)


def _programs(layout: Layout, without: Sequence[str]) -> Iterator[Program]:
    for component in COMPONENTS:
        if component.name in without:
            continue
        if component is not BY_NAME["grafana"]:
            yield make_program(component, layout)
        elif page := page_program(layout, active_config_dir()):
            yield page


def _recorded(program: Program) -> dict[str, Any]:
    return {"name": program.name, "ready": program.ready, "ports": program.ports, "version": _version(program)}


def _status(program: Mapping[str, Any], process: Mapping[str, Any], ports: Ports) -> Status:
    return Status(
        name=program["name"],
        state=process["statename"].lower(),
        pid=process["pid"] or None,
        uptime=time.time() - process["start"] if process["pid"] else 0.0,
        port=ports[program["ports"][0]],
        ready=answers(program["ready"]),
        version=program["version"],
        memory=_resident(process["pid"]),
    )


def _version(program: Program) -> str:
    """Of a component in the cache, by its folder there; of the package, for what the package itself runs."""
    if program.command[0] == sys.executable:
        return __version__
    built = re.search(r"-(\d+\.\d+\.\d+)-[0-9a-f]+/", program.command[0])
    return built[1] if built else ""


def _resident(pid: int) -> int:
    try:
        process = psutil.Process(pid)
        return sum(int(part.memory_info().rss) for part in (process, *process.children(recursive=True)))
    except psutil.Error:
        return 0
