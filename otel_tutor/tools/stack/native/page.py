"""The page on the port where people look first: a Grafana that is installed on this machine, else `otel-tutor top`.

Grafana is in no registry that components can be built from. An installed one runs with the files and settings that
compose.yaml gives to its own.
"""

import importlib.util
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from otel_tutor.tools.stack.components import BY_NAME, Module
from otel_tutor.tools.stack.configuration import render_dashboards
from otel_tutor.tools.stack.containers import compose
from otel_tutor.tools.stack.files import writable_dir
from otel_tutor.tools.stack.native.build import on_path
from otel_tutor.tools.stack.native.programs import Layout, Program, make_program
from otel_tutor.tools.stack.ports import LOOPBACK

__all__ = ["Grafana", "find_grafana", "missing_for_top", "page_program"]

_GRAFANA: Final = BY_NAME["grafana"]
_INSTALLED: Final = Module(
    name=_GRAFANA.name,
    version="",  # whichever is installed
    binaries={"grafana": ""},
    seconds=0,
    oldest=(11, 0),  # the first whose dashboards and data sources are as those shipped
    on_path=("grafana",),
)
_TOP: Final = replace(
    _GRAFANA,
    name="top",
    arguments=("-m", "otel_tutor", "top", "--web", "--web-port={ports[grafana]}"),
    environment={"OTEL_TUTOR_DATA": "{data}"},
    ready=("grafana", "/"),
)
_TOP_NEEDS: Final = ("textual", "textual_plotext", "textual_serve")
_HOMES: Final = ("..", "../share/grafana", "/usr/share/grafana")  # of an archive, of Homebrew, of a Linux package
_IN_CONTAINER: Final = "/var/lib/grafana/dashboards"
_DEFAULT: Final = re.compile(r"\$\{(\w+):-([^}]*)\}")


@dataclass(frozen=True, slots=True)
class Grafana:
    """An installed Grafana: its program, and the folder with the files it comes with."""

    program: Path
    home: Path


def missing_for_top() -> list[str]:
    """The libraries that `otel-tutor top` needs and that are not installed."""
    return [name for name in _TOP_NEEDS if importlib.util.find_spec(name) is None]


def page_program(layout: Layout, source: Path) -> Program | None:
    """What to run with the dashboards of the configuration folder `source`; None where libraries are missing.

    Raises StackError where Grafana's files cannot be written.
    """
    if (grafana := find_grafana()) and _GRAFANA.name in compose.services(source):
        return _grafana_program(grafana, source, layout)
    if missing_for_top():
        return None
    return replace(make_program(_TOP, layout), folder=source)  # from where it finds the dashboards


def find_grafana() -> Grafana | None:
    """The Grafana on PATH, if it is new enough and its files are found."""
    if not (binaries := on_path(_INSTALLED)):
        return None
    executable = binaries["grafana"].resolve()
    for home in (executable.parent / name for name in _HOMES):
        if (home / "conf" / "defaults.ini").is_file():
            return Grafana(executable, home.resolve())
    return None


def _grafana_program(grafana: Grafana, source: Path, layout: Layout) -> Program:
    """The program to run, with its dashboards and data sources rendered; it keeps its data beside the others'."""
    files, ports, data = layout.configuration / "dashboards", layout.ports, layout.data / "grafana"
    with writable_dir(layout.data):
        render_dashboards(source, layout.configuration)
        for path in (files / "provisioning").rglob("*.yaml"):
            text = path.read_text(encoding="utf-8").replace(_IN_CONTAINER, str(files / "json"))
            text = re.sub(r"http://([a-z]+):\d+", lambda address: f"http://{LOOPBACK}:{ports[address[1]]}", text)
            path.write_text(text, encoding="utf-8")
    environment = compose.environment(source)
    settings = {
        name: _DEFAULT.sub(lambda read: environment.get(read[1]) or read[2], value).replace(
            _IN_CONTAINER, str(files / "json")
        )
        for name, value in compose.services(source)["grafana"]["environment"].items()
        if name != "GF_INSTALL_PLUGINS"  # read by the image's start script alone
    }
    return replace(
        make_program(_GRAFANA, layout),
        command=(str(grafana.program), "server", "--homepath", str(grafana.home)),
        environment={
            **settings,
            "GF_SERVER_HTTP_ADDR": LOOPBACK,
            "GF_SERVER_HTTP_PORT": str(ports["grafana"]),
            "GF_PATHS_DATA": str(data),
            "GF_PATHS_LOGS": str(data / "log"),
            "GF_PATHS_PLUGINS": str(data / "plugins"),
            "GF_PATHS_PROVISIONING": str(files / "provisioning"),
        },
    )
