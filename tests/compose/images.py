"""Images under the official names, from components as they are built without containers, for machines that can pull none.

Each is the component's binary where the official image has it, and busybox for what its health check calls. Our own image is
built by the product, on a Debian in place of the official Python.
"""

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from otel_tutor.tools.stack.components import COMPONENTS
from otel_tutor.tools.stack.native.build import Binaries

ENTRYPOINTS: Final = {component.name: component.module.program for component in COMPONENTS if component.module}


def build_all(repository: Path, binaries: Binaries, scratch: Path) -> None:
    """Every image that compose.yaml and our Dockerfile name, except Grafana's."""
    services: Mapping[str, Any] = yaml.safe_load((repository / "compose.yaml").read_text(encoding="utf-8"))["services"]
    for service, binary in ENTRYPOINTS.items():
        folder = scratch / service
        folder.mkdir()
        shutil.copy(binaries[binary], folder / binary)
        lines = ["FROM scratch", f"COPY {binary} /{binary}", f'ENTRYPOINT ["/{binary}"]']
        if "healthcheck" in services[service]:  # the Collector's official image has no client either
            shutil.copy("/bin/busybox", folder / "busybox")
            lines[1:1] = ["COPY busybox /bin/wget", "COPY busybox /bin/sh"]
        (folder / "Dockerfile").write_text("\n".join(lines) + "\n", encoding="utf-8")
        podman("build", "--quiet", "--tag", services[service]["image"], str(folder))
    base = (repository / "otel_tutor" / "demo" / "Dockerfile").read_text(encoding="utf-8").partition("FROM ")[2].split()[0]
    if podman("image", "exists", base, check=False).returncode:
        root = scratch / "debian"
        packages = "--include=python3,python3-venv,ca-certificates"
        subprocess.run(
            ["debootstrap", "--variant=minbase", packages, "bookworm", root], check=True, stdout=subprocess.DEVNULL
        )
        with (scratch / "debian.tar").open("wb") as archive:
            subprocess.run(["tar", "--create", "--directory", root, "."], check=True, stdout=archive)
        podman("import", "--quiet", str(scratch / "debian.tar"), base)


def hand_to_docker(images: Iterable[str], scratch: Path) -> None:
    """Have Docker know images that Podman has."""
    for image in images:
        archive = scratch / "image.tar"
        podman("save", "--format=docker-archive", f"--output={archive}", image)
        loaded = _run("docker", "load", "--quiet", f"--input={archive}").stdout.rpartition("Loaded image: ")[2].strip()
        _run("docker", "tag", loaded, image)  # of ours, podman says localhost/
        archive.unlink()


def podman(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run podman; what it objects to is the failure's message."""
    return _run("podman", *arguments, check=check)


def engine(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the engine that the tests are about."""
    return _run(os.environ["OTEL_TUTOR_ENGINE"], *arguments)


def _run(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not check or answer.returncode == 0, f"{' '.join(command)}: {answer.stderr.strip()[-2000:]}"
    return answer
