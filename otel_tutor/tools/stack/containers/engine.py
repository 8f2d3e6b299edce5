"""The container engine of this machine, if one answers: Docker or Podman, with its compose."""

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from otel_tutor.errors import StackError
from otel_tutor.tools.stack.containers.container import Container
from otel_tutor.tools.stack.output import last_line

__all__ = ["Engine", "find_engine"]

_COMPOSES: Final = (
    ("docker", ("docker", "compose")),
    ("podman", ("podman-compose",)),
    ("podman", ("podman", "compose")),
)
_UNITS: Final = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_ANSWER_SECONDS: Final = 10  # an engine that takes longer to answer is of no use


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that answers."""

    program: str
    compose: tuple[str, ...]

    def has(self, image: str) -> bool:
        """Whether the image is on this machine."""
        return self._ask("image", "inspect", image).returncode == 0

    def pull(self, image: str) -> None:
        """Fetch an image. Raises StackError with the engine's reason."""
        answer = self._ask("pull", "--quiet", image)
        if answer.returncode:
            remedy = "make its registry reachable, or use --native"
            why = _complaint(answer.stderr).rpartition(": ")[2]  # after all that was tried
            raise StackError(f"{image} cannot be pulled ({why}): {remedy}")

    def containers(self, project: str) -> list[Container]:
        """Every container of a compose project, running or not, as `inspect` shows it. Raises StackError."""
        listed = self._ask("ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={project}")
        if listed.returncode:
            raise StackError(f"{self.program} does not answer ({_complaint(listed.stderr)}): start it")
        if not (ids := listed.stdout.split()):
            return []
        # A container that is removed between the two calls is only missing in the answer.
        return [
            Container(container) for container in json.loads(self._ask("inspect", "--type=container", *ids).stdout or "[]")
        ]

    def memory(self, containers: Sequence[str]) -> dict[str, int]:
        """Bytes that running containers occupy, by name; only of those of which the engine knows it."""
        if not containers:
            return {}
        answer = self._ask("stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", *containers)
        rows = [line.split() for line in answer.stdout.splitlines()]
        return {row[0]: _bytes(row[1]) for row in rows if len(row) > 1}

    def last_line(self, container: str) -> str:
        """The last line that a container wrote."""
        answer = self._ask("logs", "--tail", "1", container)
        return _complaint(answer.stdout + answer.stderr)

    def remove(self, project: str) -> None:
        """Remove what compose may have left of a project: containers and its network, not its volumes."""
        if left := [container.id for container in self.containers(project)]:
            self._ask("rm", "--force", *left)
        self._ask("network", "rm", f"{project}_default")

    def run_compose(self, folder: Path, project: str, *arguments: str, environment: Mapping[str, str]) -> str:
        """Run compose on the compose.yaml of a folder. Returns the last line of its complaints, if there are any.

        Raises StackError with that when it fails. podman-compose may succeed although a container did not start.
        """
        command = self.compose_command(project, *arguments)
        answer = subprocess.run(
            command, cwd=folder, env=dict(environment), capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        if answer.returncode:
            raise StackError(f"`{' '.join(command)}` failed: {_complaint(answer.stderr or answer.stdout)} (in {folder})")
        return _complaint(answer.stderr)

    def compose_command(self, project: str, *arguments: str) -> list[str]:
        """The command line of compose for a project; it is run in the folder of its compose.yaml."""
        return [*self.compose, "--project-name", project, *arguments]

    def _ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return _execute([self.program, *arguments])


def find_engine() -> Engine | None:
    """The first engine that answers and has a compose; OTEL_TUTOR_ENGINE can name which. Raises StackError for another name.

    A client whose engine is not running counts as none.
    """
    wanted = os.environ.get("OTEL_TUTOR_ENGINE")
    if wanted and wanted not in dict(_COMPOSES):
        raise StackError(f"OTEL_TUTOR_ENGINE={wanted!r} does not exist: use docker or podman, or unset it")
    for program, compose in _COMPOSES:
        if program == (wanted or program) and _answers([program, "info"]) and _answers([*compose, "version"]):
            return Engine(program, compose)
    return None


def _bytes(written: str) -> int:
    """Of a size as engines write it, e.g. 57.2MiB."""
    size = re.fullmatch(r"([\d.]+)([A-Za-z]+)", written)
    return int(float(size[1]) * _UNITS.get(size[2], 0)) if size else 0


def _complaint(output: str) -> str:
    return last_line(output, preferred="Error")  # podman-compose goes on after one


def _answers(command: Sequence[str]) -> bool:
    try:
        return _execute(command, timeout=_ANSWER_SECONDS).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _execute(command: Sequence[str], timeout: float | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout, stdin=subprocess.DEVNULL)
