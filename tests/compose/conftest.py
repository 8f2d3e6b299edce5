"""compose.yaml as it is written, and as it runs."""

import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from otel_tutor.tools.stack.backends import Backends
from otel_tutor.tools.stack.containers.engine import find_engine
from otel_tutor.tools.stack.containers.stack import ContainerStack
from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.ports import variable
from tests.compose.images import build_all, hand_to_docker, podman
from tests.support.ports import unused_ports

_PROJECT = "otel-tutor-test"
_CHOSEN = os.environ.get("OTEL_TUTOR_ENGINE", "podman")  # read before the tests' own environment is made
_NEEDED = ("podman", "podman-compose", "runc", "debootstrap", "busybox")
# What a machine wants whose cgroups are v1 and whose root may not raise limits; a build trusts what the machine trusts.
_TRUSTED = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
_INSIDE = "/etc/ssl/certs/ca-certificates.crt"
_CONF = f"""
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=100:100"]
netns = "host"
env = ["PIP_CERT={_INSIDE}"]
volumes = ["{_TRUSTED}:{_INSIDE}:ro"]
[engine]
runtime = "runc"
"""


@pytest.fixture(scope="session")
def services() -> Mapping[str, Any]:
    """What compose.yaml says of each service."""
    path = Path(__file__).parents[2] / "compose.yaml"
    return dict(yaml.safe_load(path.read_text(encoding="utf-8"))["services"])


@dataclass(frozen=True)
class Containers:
    """The running file."""

    ports: Mapping[str, int]
    backends: Backends
    environment: Mapping[str, str]
    repository: Path

    def compose(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["podman-compose", "--project-name", _PROJECT, *arguments]
        return subprocess.run(
            command, cwd=self.repository, env=dict(self.environment), capture_output=True, text=True, check=False
        )

    def name(self, service: str) -> str:
        return f"{_PROJECT}_{service}_1"

    def left(self) -> list[str]:
        """Containers and volumes of this project."""
        kinds = (("ps", "--all", "--format={{.Names}}"), ("volume", "ls", "--quiet"))
        return [name for kind in kinds for name in podman(*kind).stdout.split() if _PROJECT in name]


@pytest.fixture(scope="session")
def images(binaries: Binaries, services: Mapping[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every image of compose.yaml but Grafana's, which cannot be made here."""
    missing = [name for name in _NEEDED if shutil.which(name) is None]
    assert missing == [], "see what `make test-compose` wants installed, in the Makefile"
    scratch = tmp_path_factory.mktemp("compose")
    (scratch / "containers.conf").write_text(_CONF, encoding="utf-8")
    os.environ["CONTAINERS_CONF"] = str(scratch / "containers.conf")
    build_all(Path(__file__).parents[2], binaries, scratch)
    os.environ["OTEL_TUTOR_ENGINE"] = "podman"
    podman("rmi", "--force", services["pager"]["image"], check=False)  # of an earlier run's sources
    engine = find_engine()
    assert engine is not None
    ContainerStack(scratch, engine).prepare(without=["grafana"])
    os.environ["OTEL_TUTOR_ENGINE"] = _CHOSEN
    if _CHOSEN == "docker":
        hand_to_docker({service["image"] for name, service in services.items() if name != "grafana"}, scratch)


@pytest.fixture(scope="module")
def containers(images: None, services: Mapping[str, Any]) -> Iterator[Containers]:
    """Every service but Grafana."""
    ports = unused_ports()
    environment = {**os.environ, **{variable(name): str(number) for name, number in ports.items()}}
    with Backends(ports) as backends:
        running = Containers(ports, backends, environment, Path(__file__).parents[2])
        started = running.compose("up", "-d", "--no-build", *(name for name in services if name != "grafana"))
        try:
            assert started.returncode == 0, started.stdout + started.stderr
            yield running
        finally:
            running.compose("down", "-v")
            podman("network", "rm", f"{_PROJECT}_default")  # Debian's podman-compose leaves it, Docker's does not
