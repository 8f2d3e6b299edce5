"""The stack of one data folder in containers: up, down and what is running."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from platformdirs import user_data_path

from otel_tutor.errors import StackError
from otel_tutor.tools.stack.components import BY_NAME
from otel_tutor.tools.stack.configuration import check_yaml
from otel_tutor.tools.stack.containers import compose
from otel_tutor.tools.stack.containers.container import GONE, Container
from otel_tutor.tools.stack.containers.engine import Engine
from otel_tutor.tools.stack.files import writable_dir
from otel_tutor.tools.stack.ports import DEFAULTS, Ports, check_free, page_url, variable
from otel_tutor.tools.stack.progress import SILENT, Progress
from otel_tutor.tools.stack.project import active_config_dir
from otel_tutor.tools.stack.protocol import COMPOSE, LogCommand
from otel_tutor.tools.stack.readiness import answers, wait_until_ready
from otel_tutor.tools.stack.state import StackState
from otel_tutor.tools.stack.status import Status

__all__ = ["ContainerStack"]

_READY_SECONDS: Final = 120  # a first start embeds the corpus, and Grafana fetches its plugin
_PATIENCE_SECONDS: Final = 20  # until one that keeps ending is given up: some do at first, without what they write to
_STOP_SECONDS: Final = "15"  # the Collector drains its queues
_TAIL_LINES: Final = "20"


class ContainerStack:
    """The services of compose.yaml that run for one data folder, with the ports they were started with."""

    mode = COMPOSE

    def __init__(self, data: Path, engine: Engine) -> None:
        self.data = data
        self.config_dir = data / "config"  # compose is run here
        self.state = StackState(data)
        self.engine = engine
        self.project = _project(data)
        self._prepared = False

    @property
    def data_location(self) -> str:
        """Where the components' data stay: volumes of the engine."""
        return f"volumes of {self.project}"

    def is_running(self) -> bool:
        """Whether a container of this data folder's stack runs."""
        return self.state.exists() and any(container.is_running for container in self._containers())

    def prepare(self, *, without: Sequence[str] = (), progress: Progress = SILENT) -> None:
        """Have every image on this machine: pulled, or built if it is ours. Raises StackError."""
        if self._prepared:  # each look takes a while
            return
        for image, is_ours in compose.images(active_config_dir(), _chosen(without)).items():
            if self.engine.has(image):
                continue
            if is_ours:
                progress.step(f"building {image}")
                self._render(DEFAULTS, ())
                source = {"OTEL_TUTOR_SOURCE": str(compose.build_context(self.data)), **self._environment({})}
                self._compose("build", "pager", environment=source)
            else:
                progress.step(f"pulling {image}")
                self.engine.pull(image)
        self._prepared = True

    def up(
        self, ports: Ports, *, overlays: Sequence[str] = (), without: Sequence[str] = (), progress: Progress = SILENT
    ) -> None:
        """Start every service but those `without`, and wait until each is ready.

        Raises StackError, with everything stopped again, when one does not get ready.
        """
        check_yaml(active_config_dir())
        self.prepare(without=without, progress=progress)
        chosen, environment = _chosen(without), self._environment(ports)
        self._render(ports, overlays)
        self.engine.remove(self.project)  # what a crash may have left
        used = {port.name for name in chosen if name in BY_NAME for port in BY_NAME[name].ports if port.published}
        check_free({name: ports[name] for name in ports if name in used})
        engine = {"program": self.engine.program, "compose": list(self.engine.compose)}
        self.state.write(ports=ports, overlays=overlays, engine=engine, services=chosen)
        try:
            progress.step("starting the containers")
            complaint = self._compose("up", "--detach", "--no-build", *chosen, environment=environment)
            started = {container.service for container in self._containers() if container.state != "created"}
            if absent := [name for name in chosen if name not in started]:
                raise StackError(f"{self.engine.program} did not start {absent[0]}: {complaint}")
            for name in chosen:
                progress.step(f"waiting for {name}")
                self._wait(name, ports)
        except BaseException:
            self.down()
            raise

    def down(self, *, volumes: bool = False) -> bool:
        """Stop and remove everything, on request with its data. Returns whether anything was there."""
        was_running = self.state.exists() or bool(self._containers())
        if (self.config_dir / compose.FILE).is_file():
            more = ["--volumes"] if volumes else []
            ports = self.state.ports if self.state.exists() else {}
            self._compose("down", "--timeout", _STOP_SECONDS, *more, environment=self._environment(ports))
        self.engine.remove(self.project)  # podman-compose leaves the network, and a killed `up` what it had half made
        self.state.remove()
        return was_running

    def status(self) -> list[Status]:
        """Every service that was started, in the order of compose.yaml. Raises StackError when none was."""
        state = self.state.read()
        containers = {container.service: container for container in self._containers()}
        memory = self.engine.memory([container.id for container in containers.values() if container.is_running])
        shown = [name for name in state["services"] if not containers.get(name, GONE).is_done]
        return [_status(name, containers.get(name, GONE), state["ports"], memory) for name in shown]

    def log_command(self, names: Sequence[str], *, follow: bool) -> LogCommand:
        """What shows the end of the services' logs, which the engine keeps."""
        more = ["--follow"] if follow else []
        words = self.engine.compose_command(self.project, "logs", "--tail", _TAIL_LINES, *more, *names)
        return LogCommand(words=words, folder=self.config_dir, environment=self._environment(self.state.ports))

    def _containers(self) -> list[Container]:
        return self.engine.containers(self.project)

    def _compose(self, *arguments: str, environment: Mapping[str, str]) -> str:
        return self.engine.run_compose(self.config_dir, self.project, *arguments, environment=environment)

    def _render(self, ports: Ports, overlays: Sequence[str]) -> None:
        with writable_dir(self.data):
            compose.render_services(active_config_dir(), self.config_dir, ports, overlays)

    def _environment(self, ports: Ports) -> dict[str, str]:
        """What compose is run with."""
        moved = {variable(name): str(number) for name, number in ports.items()}
        return {**compose.environment(active_config_dir()), **moved}

    def _wait(self, name: str, ports: Ports) -> None:
        started = time.monotonic()

        def check() -> bool | None:
            container = self._container(name)
            if container is None:
                return False
            if container.is_done or _is_ready(name, container, ports):
                return True
            is_patient = time.monotonic() - started < _PATIENCE_SECONDS
            return None if is_patient or not container.is_crashing else False

        def last_output() -> str:
            container = self._container(name)
            return self.engine.last_line(container.id) if container else "its container is gone"

        wait_until_ready(name, check, seconds=_READY_SECONDS, last_output=last_output)

    def _container(self, name: str) -> Container | None:
        return next((container for container in self._containers() if container.service == name), None)


def _chosen(without: Sequence[str]) -> list[str]:
    return [name for name in compose.services(active_config_dir()) if name not in without]


def _project(data: Path) -> str:
    """The name compose knows the stack by: that of compose.yaml, or a different one for another data folder."""
    if data == user_data_path("otel-tutor"):
        return "otel-tutor"
    return f"otel-tutor-{hashlib.sha256(str(data).encode()).hexdigest()[:8]}"


def _is_ready(name: str, container: Container, ports: Ports) -> bool:
    if not container.is_running or name not in BY_NAME:
        return container.is_running
    return answers(page_url(BY_NAME[name].ready, ports))


def _status(name: str, container: Container, ports: Ports, memory: Mapping[str, int]) -> Status:
    return Status(
        name=name,
        state=container.state,
        pid=container.pid,
        uptime=container.uptime,
        port=ports[BY_NAME[name].ports[0].name] if name in BY_NAME else None,
        ready=_is_ready(name, container, ports),
        version=container.version,
        memory=memory.get(container.name, 0),
    )
