"""The native stack of one data folder: up, down and what is running."""

import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import psutil
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from otel_tutor import __version__
from otel_tutor.errors import StackError
from otel_tutor.tools.stack.backends import wait_for
from otel_tutor.tools.stack.components import COMPONENTS
from otel_tutor.tools.stack.configuration import check_by_components, check_yaml, lay_out
from otel_tutor.tools.stack.files import usable
from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.native.page import page_program
from otel_tutor.tools.stack.native.programs import Layout, Program, program, stack_environment
from otel_tutor.tools.stack.native.supervision import Supervisor
from otel_tutor.tools.stack.ports import Ports, check_free
from otel_tutor.tools.stack.project import configured
from otel_tutor.tools.stack.state import Record
from otel_tutor.tools.stack.status import Status, answers

__all__ = ["Stack"]

_READY_SECONDS: Final = 60  # generous: a component that recovers a large write-ahead log is slow to be ready
_ALIVE: Final = ("STARTING", "RUNNING")


class Stack:
    """The components that run on one data folder, with the ports they were started with."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.supervisor = Supervisor(data)
        self.record = Record(data)

    def is_running(self) -> bool:
        """Whether this data folder's stack is up."""
        return self.record.exists() and self.supervisor.is_running()

    def up(
        self,
        binaries: Binaries,
        ports: Ports,
        *,
        overlays: Sequence[str] = (),
        without: Sequence[str] = (),
        extra: Sequence[Program] = (),
        leashed: bool = False,
        prepare: Callable[[Path], None] = lambda _: None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Start every program in order, each when the one before is ready; `tell` hears the name of each.

        `prepare` may change the copy of the configuration that is laid out for this start.
        `overlays` are merged over the Collector's configuration: names of those shipped, or paths.
        Raises StackError, with everything stopped again, when one does not get ready. On a leash the stack ends with
        the process that started it.
        """
        check_yaml(configured())
        layout = Layout(
            binaries=binaries, configuration=self.data / "config", data=self.data, ports=ports, overlays=overlays
        )
        environment = stack_environment(layout)
        with usable(self.data):
            check_by_components(binaries, configured(), environment, overlays)
            lay_out(configured(), layout.configuration, ports)
        prepare(layout.configuration)
        programs = [*_programs(layout, without), *extra]
        self.supervisor.stop()  # what a crash may have left
        used = {name for program in programs for name in program.ports}
        check_free({name: ports[name] for name in ports if name in used})
        recorded = [
            {"name": program.name, "ready": program.ready, "ports": program.ports, "version": _version(program)}
            for program in programs
        ]
        self.record.write(ports=ports, overlays=overlays, programs=recorded)
        try:
            self.supervisor.start(programs, environment, leashed=leashed)
            for program in programs:
                tell(program.name)
                self.supervisor.start_program(program.name)
                self._wait(program)
            self._settle()
        except BaseException:
            self.down()
            raise

    def down(self) -> bool:
        """Stop everything. Returns whether anything was running."""
        was_running = self.record.exists() or bool(self.supervisor.processes_left())
        self.supervisor.stop()
        self.record.remove()
        return was_running

    def status(self) -> list[Status]:
        """Every program in starting order. Raises StackError when the stack is not running."""
        recorded = self.record.read()
        try:
            processes = self.supervisor.processes()
        except OSError:
            raise StackError("the supervisor died: clear up with `otel-tutor down`, then `otel-tutor up`") from None
        return [_status(program, processes[program["name"]], recorded["ports"]) for program in recorded["programs"]]

    def log(self, name: str) -> Path:
        """Where a program's output is."""
        return self.supervisor.logs / f"{name}.log"

    def _settle(self) -> None:
        """Wait until supervisord, too, holds every program for running: it watches each for its first second."""
        wait_for(lambda: {one["statename"] for one in self.supervisor.processes().values()}, {"RUNNING"}.__eq__, seconds=5)

    def _wait(self, program: Program) -> None:
        def is_ready() -> bool:
            state = self.supervisor.processes()[program.name]["statename"]
            if state not in _ALIVE:
                raise StackError(self._failure(program, f"ended ({state.lower()})"))
            return answers(program.ready)

        try:
            Retrying(
                stop=stop_after_delay(_READY_SECONDS),
                wait=wait_fixed(0.1),
                retry=retry_if_result(lambda ready: not ready),
            )(is_ready)
        except RetryError:
            raise StackError(self._failure(program, f"did not get ready within {_READY_SECONDS} s")) from None

    def _failure(self, program: Program, what: str) -> str:
        log = self.log(program.name)
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.is_file() else []
        return f"{program.name} {what}: {lines[-1].strip() if lines else 'it said nothing'} (log: {log})"


def _programs(layout: Layout, without: Sequence[str]) -> Iterator[Program]:
    for component in COMPONENTS:
        if component.name in without:
            continue
        if component.name != "grafana":
            yield program(component, layout)
        elif page := page_program(layout, configured()):
            yield page


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
        return sum(int(one.memory_info().rss) for one in (process, *process.children(recursive=True)))
    except psutil.Error:
        return 0
