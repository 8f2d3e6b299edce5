"""The overview as a process of the stack: a page on the port where a Grafana would be."""

import importlib.util
import sys
from pathlib import Path
from typing import Final

from otel_tutor.stack.ports import LOOPBACK, Ports
from otel_tutor.stack.programs import Program

__all__ = ["missing", "top_programs"]

_NEEDED: Final = ("textual", "textual_plotext", "textual_serve")


def missing() -> list[str]:
    """What the overview needs and is not installed."""
    return [name for name in _NEEDED if importlib.util.find_spec(name) is None]


def top_programs(data: Path, ports: Ports, configuration: Path) -> list[Program]:
    """Serves the stack of that data folder with the panels of that configuration; none where its libraries are missing."""
    if missing():
        return []
    page = Program(
        name="top",
        command=(sys.executable, "-m", "otel_tutor", "top", "--web", f"--web-port={ports['top']}"),
        ports=("top",),
        ready=f"http://{LOOPBACK}:{ports['top']}/",
        environment={"OTEL_TUTOR_DATA": str(data)},
        folder=configuration,
    )
    return [page]
