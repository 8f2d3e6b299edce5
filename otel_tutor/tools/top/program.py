"""The page on the port where people look first: a Grafana where one is installed, else the overview."""

import importlib.util
import sys
from pathlib import Path
from typing import Final

from otel_tutor.tools.stack.containers.compose import services
from otel_tutor.tools.stack.native.grafana import find_grafana, grafana_program
from otel_tutor.tools.stack.native.programs import Program
from otel_tutor.tools.stack.ports import LOOPBACK, Ports

__all__ = ["missing", "page_programs"]

_NEEDED: Final = ("textual", "textual_plotext", "textual_serve")


def missing() -> list[str]:
    """What the overview needs and is not installed."""
    return [name for name in _NEEDED if importlib.util.find_spec(name) is None]


def page_programs(data: Path, ports: Ports, configuration: Path) -> list[Program]:
    """Serves the stack of that data folder with the panels of that configuration; none where libraries are missing.

    Raises StackError where Grafana's files cannot be written.
    """
    if (found := find_grafana()) and "grafana" in services(configuration):
        return [grafana_program(found, configuration, data, ports)]
    if missing():
        return []
    page = Program(
        name="top",
        command=(sys.executable, "-m", "otel_tutor", "top", "--web", f"--web-port={ports['grafana']}"),
        ports=("grafana",),
        ready=f"http://{LOOPBACK}:{ports['grafana']}/",
        environment={"OTEL_TUTOR_DATA": str(data)},
        folder=configuration,
    )
    return [page]
