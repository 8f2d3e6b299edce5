"""A Grafana that is installed on this machine, run with the files and settings that compose.yaml gives to its own.

Grafana is in no registry that components can be built from, so there is none unless somebody installed it.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from otel_tutor.tools.stack.components import Component
from otel_tutor.tools.stack.configuration import lay_out_boards
from otel_tutor.tools.stack.containers import compose
from otel_tutor.tools.stack.files import usable
from otel_tutor.tools.stack.native.build import on_path
from otel_tutor.tools.stack.native.programs import Program
from otel_tutor.tools.stack.ports import LOOPBACK, Ports

__all__ = ["Grafana", "find_grafana", "grafana_program"]

GRAFANA: Final = Component(
    name="grafana",
    version="",  # whichever is installed
    binaries={"grafana": ""},
    oldest=(11, 0),  # the first whose dashboards and data sources are as those shipped
    on_path=("grafana",),
)
_HOMES: Final = ("..", "../share/grafana", "/usr/share/grafana")  # of an archive, of Homebrew, of a Linux package
_IN_CONTAINER: Final = "/var/lib/grafana/dashboards"
_DEFAULT: Final = re.compile(r"\$\{(\w+):-([^}]*)\}")


@dataclass(frozen=True, slots=True)
class Grafana:
    """Its program, and the folder with the files it comes with."""

    program: Path
    home: Path


def find_grafana() -> Grafana | None:
    """The Grafana on PATH, if it is new enough and its files are found."""
    if not (found := on_path(GRAFANA)):
        return None
    program = found["grafana"].resolve()
    homes = [home for home in (program.parent / one for one in _HOMES) if (home / "conf" / "defaults.ini").is_file()]
    return Grafana(program, homes[0].resolve()) if homes else None


def grafana_program(found: Grafana, source: Path, data: Path, ports: Ports) -> Program:
    """The program to run, with a copy of its dashboards and data sources laid out; it keeps its own under `data`.

    Raises StackError where they cannot be written.
    """
    files = data / "config" / "dashboards"
    with usable(data):
        lay_out_boards(source, data / "config")
        for path in (files / "provisioning").rglob("*.yaml"):
            text = path.read_text(encoding="utf-8").replace(_IN_CONTAINER, str(files / "json"))
            text = re.sub(r"http://([a-z]+):\d+", lambda one: f"http://{LOOPBACK}:{ports[one[1]]}", text)
            path.write_text(text, encoding="utf-8")
    own = data / "grafana"
    given, environment = compose.services(source)["grafana"]["environment"], compose.environment(source)
    settings = {
        name: _DEFAULT.sub(lambda one: environment.get(one[1]) or one[2], value).replace(_IN_CONTAINER, str(files / "json"))
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
