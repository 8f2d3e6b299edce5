"""A Grafana that is installed on this machine, run with the files and settings that compose.yaml gives to its own.

Grafana is in no registry that components can be built from, so there is none unless somebody installed it.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from otel_tutor.stack import compose
from otel_tutor.stack.ports import LOOPBACK, Ports
from otel_tutor.stack.programs import Program

__all__ = ["Grafana", "find_grafana", "grafana_program"]

_OLDEST: Final = 11  # the first whose dashboards and data sources are as those shipped
_HOMES: Final = ("..", "../share/grafana", "/usr/share/grafana")  # of an archive, of Homebrew, of a Linux package
_IN_CONTAINER: Final = "/var/lib/grafana"
_DEFAULT: Final = re.compile(r"\$\{(\w+):-([^}]*)\}")


@dataclass(frozen=True, slots=True)
class Grafana:
    """Its program, and the folder with the files it comes with."""

    program: Path
    home: Path


def find_grafana() -> Grafana | None:
    """The Grafana on PATH, if it is new enough and its files are found."""
    name = shutil.which("grafana")
    if name is None:
        return None
    program = Path(name).resolve()
    try:
        answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = re.search(r"version (\d+)\.", answer.stdout)
    homes = [home for home in (program.parent / one for one in _HOMES) if (home / "conf" / "defaults.ini").is_file()]
    return Grafana(program, homes[0].resolve()) if homes and version and int(version[1]) >= _OLDEST else None


def grafana_program(found: Grafana, source: Path, data: Path, ports: Ports) -> Program:
    """The program to run, with a copy of its dashboards and data sources laid out; it keeps its own under `data`."""
    files = data / "config" / "dashboards"
    shutil.rmtree(files, ignore_errors=True)
    for part in ("json", "provisioning"):
        shutil.copytree(source / "dashboards" / part, files / part)
    for path in (files / "provisioning").rglob("*.yaml"):
        text = path.read_text(encoding="utf-8").replace(f"{_IN_CONTAINER}/dashboards", str(files / "json"))
        text = re.sub(r"http://([a-z]+):\d+", lambda one: f"http://{LOOPBACK}:{ports[one[1]]}", text)
        path.write_text(text, encoding="utf-8")
    own = data / "grafana"
    given = compose.services(source)["grafana"]["environment"]
    settings = {
        name: _DEFAULT.sub(lambda one: os.environ.get(one[1]) or one[2], value).replace(
            f"{_IN_CONTAINER}/dashboards", str(files / "json")
        )
        for name, value in given.items()
        if name != "GF_INSTALL_PLUGINS"  # read by the image's start script alone
    }
    return Program(
        name="grafana",
        command=(str(found.program), "server", "--homepath", str(found.home)),
        ports=("grafana",),
        ready=f"http://{LOOPBACK}:{ports['grafana']}/api/health",
        environment={
            **settings,
            "GF_SERVER_HTTP_ADDR": LOOPBACK,
            "GF_SERVER_HTTP_PORT": str(ports["grafana"]),
            "GF_PATHS_DATA": str(own),
            "GF_PATHS_LOGS": str(own / "log"),
            "GF_PATHS_PLUGINS": str(own / "plugins"),
            "GF_PATHS_PROVISIONING": str(files / "provisioning"),
        },
    )
