"""compose.yaml as it is run: its services and images, and a copy of it and of all that it mounts."""

import os
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import yaml
from dotenv import dotenv_values

import otel_tutor
from otel_tutor.settings import shipped_config_dir
from otel_tutor.tools.stack.configuration import collector_files, render_config_for_containers
from otel_tutor.tools.stack.ports import DEFAULTS, Ports, variable

__all__ = ["FILE", "build_context", "environment", "images", "render_services", "services"]

FILE: Final = "compose.yaml"
_MOUNTED: Final = "/etc/otel-tutor/collector"  # where the Collector's container has collector/
_READ: Final = re.compile(r"\$\{env:(OTEL_TUTOR_\w+)")


def services(folder: Path) -> dict[str, dict[str, Any]]:
    """The services of a folder's compose.yaml, in its order."""
    return dict(yaml.safe_load((folder / FILE).read_text(encoding="utf-8"))["services"])


def images(folder: Path, names: Iterable[str]) -> dict[str, bool]:
    """The images of services, and of each whether it is built here rather than pulled."""
    every = services(folder)
    return {every[name]["image"]: "build" in every[name] for name in names if "image" in every[name]}


def environment(folder: Path) -> dict[str, str]:
    """What compose reads: the environment, and under it the folder's .env."""
    file = {name: value for name, value in dotenv_values(folder / ".env").items() if value}
    return {**file, **{name: value for name, value in os.environ.items() if value or name not in file}}


def render_services(source: Path, target: Path, ports: Ports, overlays: Sequence[str]) -> None:
    """Write a fresh copy of compose.yaml and of what it mounts into `target`; the Collector reads the overlays as well.

    Raises OSError, StackError for an overlay that does not exist, ConfigurationError for objectives that cannot be.
    """
    files = collector_files(source, overlays)
    render_config_for_containers(source, target, ports)
    shutil.copy(source / FILE, target / FILE)
    if overlays:
        _merge(target, source / "collector", files)


def _merge(target: Path, collector: Path, files: Sequence[Path]) -> None:
    """Name the files in the Collector's command; pass the variables they read, and the files those name."""
    text = yaml.safe_load((target / FILE).read_text(encoding="utf-8"))
    ports = set(map(variable, DEFAULTS))  # moved where they are published, not inside
    service = text["services"]["collector"]
    service["command"] = []
    for number, file in enumerate(files):
        inside = file.relative_to(collector) if file.is_relative_to(collector) else Path(f"overlays/{number}-{file.name}")
        shutil.copy(file, target / "collector" / inside)
        service["command"].append(f"--config={_MOUNTED}/{inside}")
        for name in _READ.findall(file.read_text(encoding="utf-8")):
            if (value := os.environ.get(name)) and name not in {*service["environment"], *ports}:
                service["environment"][name] = value
                if Path(value).is_absolute() and Path(value).exists():
                    service["volumes"].append(f"{value}:{value}:ro")
    (target / FILE).write_text(yaml.safe_dump(text, sort_keys=False), encoding="utf-8")


def build_context(scratch: Path) -> Path:
    """What our image is built from: the checkout, or a copy of the installed package in `scratch`, arranged as one."""
    files, package = shipped_config_dir(), Path(otel_tutor.__file__).parent
    if files == package.parent:
        return files
    context = scratch / "source"
    shutil.rmtree(context, ignore_errors=True)
    shutil.copytree(files, context)
    shutil.copytree(package, context / package.name, ignore=shutil.ignore_patterns("share", "__pycache__"))
    return context
