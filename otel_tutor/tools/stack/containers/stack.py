"""The stack of one data folder in containers: up, down and what is running."""

import hashlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from platformdirs import user_data_path

from otel_tutor.errors import StackError
from otel_tutor.tools.stack.backends import wait_for
from otel_tutor.tools.stack.components import BY_NAME
from otel_tutor.tools.stack.configuration import check_yaml
from otel_tutor.tools.stack.containers import compose
from otel_tutor.tools.stack.containers.engine import Engine
from otel_tutor.tools.stack.files import usable
from otel_tutor.tools.stack.ports import DEFAULTS, Ports, check_free, page_url, variable
from otel_tutor.tools.stack.project import configured
from otel_tutor.tools.stack.state import Record
from otel_tutor.tools.stack.status import Status, answers

__all__ = ["ContainerStack"]

_READY_SECONDS: Final = 120  # a first start embeds the corpus, and Grafana fetches its plugin
_PATIENCE_SECONDS: Final = 20  # until one that keeps ending is given up: some do at first, without what they write to
_RESTARTS: Final = 3
_STOP_SECONDS: Final = "15"  # the Collector drains its queues
_UNITS: Final = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


class ContainerStack:
    """The services of compose.yaml that run for one data folder, with the ports they were started with."""

    def __init__(self, data: Path, engine: Engine) -> None:
        self.data = data
        self.engine = engine
        self.record = Record(data)
        self.folder = data / "config"  # compose is run here
        self.project = _project(data)

    def is_running(self) -> bool:
        """Whether a container of this data folder's stack runs."""
        return self.record.exists() and any(_state(one) == "running" for one in self._containers())

    def up(
        self,
        ports: Ports,
        *,
        overlays: Sequence[str] = (),
        without: Sequence[str] = (),
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Start every service but those `without`, and wait until each is ready; `tell` hears what is done.

        Their images have been provided. Raises StackError, with everything stopped again, when one does not get ready.
        """
        check_yaml(configured())
        chosen, environment = _chosen(without), self.environment(ports)
        self._lay_out(ports, overlays)
        self.engine.remove(self.project)  # what a crash may have left
        used = {port.name for name in chosen if name in BY_NAME for port in BY_NAME[name].ports if port.published}
        check_free({name: ports[name] for name in ports if name in used})
        engine = {"program": self.engine.program, "compose": list(self.engine.compose)}
        self.record.write(ports=ports, overlays=overlays, engine=engine, services=chosen)
        try:
            tell("starting the containers")
            said = self._compose("up", "--detach", "--no-build", *chosen, environment=environment)
            started = {_service(one) for one in self._containers() if _state(one) != "created"}
            if absent := [name for name in chosen if name not in started]:
                raise StackError(f"{self.engine.program} did not start {absent[0]}: {said}")
            for name in chosen:
                tell(f"waiting for {name}")
                self._wait(name, ports)
        except BaseException:
            self.down()
            raise

    def provide(self, *, without: Sequence[str] = (), tell: Callable[[str], None] = lambda _: None) -> None:
        """Have every image on this machine: pulled, or built if it is ours. Raises StackError."""
        for image, is_ours in compose.images(configured(), _chosen(without)).items():
            if self.engine.has(image):
                continue
            if is_ours:
                tell(f"building {image}")
                self._lay_out(DEFAULTS, ())
                source = {"OTEL_TUTOR_SOURCE": str(compose.build_context(self.data)), **self.environment({})}
                self._compose("build", "pager", environment=source)
            else:
                tell(f"pulling {image}")
                self.engine.pull(image)

    def down(self, *, volumes: bool = False) -> bool:
        """Stop and remove everything, on request with its data. Returns whether anything was there."""
        was_running = self.record.exists() or bool(self._containers())
        if (self.folder / compose.FILE).is_file():
            also = ["--volumes"] if volumes else []
            ports = self.record.ports if self.record.exists() else {}
            self._compose("down", "--timeout", _STOP_SECONDS, *also, environment=self.environment(ports))
        self.engine.remove(self.project)  # podman-compose leaves the network, and a killed `up` what it had half made
        self.record.remove()
        return was_running

    def status(self) -> list[Status]:
        """Every service that was started, in the order of compose.yaml. Raises StackError when none was."""
        recorded = self.record.read()
        found = {_service(one): one for one in self._containers()}
        memory = self.engine.memory([one["Id"] for one in found.values() if _state(one) == "running"])
        shown = [name for name in recorded["services"] if name not in found or not _is_done(found[name])]
        return [_status(name, found.get(name, _GONE), recorded["ports"], memory) for name in shown]

    def log_command(self, names: Sequence[str], *, follow: bool) -> list[str]:
        """The command that shows the end of what services wrote, of all or of some; to be run in `folder`."""
        more = ["--follow"] if follow else []
        return self.engine.compose_command(self.project, "logs", "--tail", "20", *more, *names)

    def _containers(self) -> list[dict[str, Any]]:
        return self.engine.containers(self.project)

    def _compose(self, *arguments: str, environment: Mapping[str, str]) -> str:
        return self.engine.run_compose(self.folder, self.project, *arguments, environment=environment)

    def _lay_out(self, ports: Ports, overlays: Sequence[str]) -> None:
        with usable(self.data):
            compose.lay_out_services(configured(), self.folder, ports, overlays)

    def environment(self, ports: Ports) -> dict[str, str]:
        """What compose is run with."""
        return {**compose.environment(configured()), **{variable(name): str(number) for name, number in ports.items()}}

    def _wait(self, name: str, ports: Ports) -> None:
        started = time.monotonic()

        def verdict() -> bool | None:
            """Whether it is ready, or is no more going to be; None while that is open."""
            found = self._container(name)
            if found and (_is_done(found) or _is_ready(name, found, ports)):
                return True
            patient = time.monotonic() - started < _PATIENCE_SECONDS
            return None if found and (patient or not _is_crashing(found)) else False

        if not wait_for(verdict, lambda reached: reached is not None, seconds=_READY_SECONDS):
            found = self._container(name)
            said = self.engine.last_line(found["Id"]) if found else "its container is gone"
            raise StackError(f"{name} did not get ready: {said}")

    def _container(self, name: str) -> Mapping[str, Any] | None:
        return next((one for one in self._containers() if _service(one) == name), None)


def _chosen(without: Sequence[str]) -> list[str]:
    return [name for name in compose.services(configured()) if name not in without]


def _project(data: Path) -> str:
    """The name compose knows the stack by: that of compose.yaml, or one apart for a data folder of its own."""
    if data == user_data_path("otel-tutor"):
        return "otel-tutor"
    return f"otel-tutor-{hashlib.sha256(str(data).encode()).hexdigest()[:8]}"


def _service(container: Mapping[str, Any]) -> str:
    return str(container["Config"]["Labels"]["com.docker.compose.service"])


def _state(container: Mapping[str, Any]) -> str:
    return str(container["State"]["Status"])


def _is_done(container: Mapping[str, Any]) -> bool:
    """Whether it is one that runs once, and did."""
    return _state(container) == "exited" and container["State"]["ExitCode"] == 0


def _uptime(container: Mapping[str, Any]) -> float:
    if _state(container) != "running":
        return 0.0
    return time.time() - datetime.fromisoformat(container["State"]["StartedAt"]).timestamp()


def _is_crashing(container: Mapping[str, Any]) -> bool:
    """Whether it was started again and again, and just now."""
    return container["RestartCount"] >= _RESTARTS and _uptime(container) < _PATIENCE_SECONDS / 2


def _is_ready(name: str, container: Mapping[str, Any], ports: Ports) -> bool:
    if _state(container) != "running" or name not in BY_NAME:
        return _state(container) == "running"
    return answers(page_url(BY_NAME[name].ready, ports))


_GONE: Final[Mapping[str, Any]] = {"State": {"Status": "gone", "Pid": 0}, "Name": "", "Config": {"Image": ""}}


def _status(name: str, container: Mapping[str, Any], ports: Ports, memory: Mapping[str, str]) -> Status:
    return Status(
        name=name,
        state=_state(container),
        pid=container["State"]["Pid"] or None,
        uptime=_uptime(container),
        port=ports[BY_NAME[name].ports[0].name] if name in BY_NAME else None,
        ready=_is_ready(name, container, ports),
        version=str(container["Config"]["Image"]).rpartition(":")[2].removeprefix("v"),
        memory=_bytes(memory.get(container["Name"].removeprefix("/"), "")),
    )


def _bytes(text: str) -> int:
    found = re.fullmatch(r"([\d.]+)([A-Za-z]+)", text)
    return int(float(found[1]) * _UNITS.get(found[2], 0)) if found else 0
