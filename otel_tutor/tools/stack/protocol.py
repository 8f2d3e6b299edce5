"""What every stack can do, whether its components are processes or containers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from otel_tutor.tools.stack.ports import Ports
from otel_tutor.tools.stack.progress import SILENT, Progress
from otel_tutor.tools.stack.state import StackState
from otel_tutor.tools.stack.status import Status

__all__ = ["COMPOSE", "NATIVE", "LogCommand", "Stack"]

NATIVE: Final = "native"  # components are processes
COMPOSE: Final = "compose"  # components are containers


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCommand:
    """A command that shows logs: its words, the folder to run it in and its environment."""

    words: Sequence[str]
    folder: Path
    environment: Mapping[str, str] | None = None  # None: that of this process


class Stack(Protocol):
    """The stack of one data folder. Components are named as in components.py, and as the services of compose.yaml."""

    @property
    def mode(self) -> str:
        """NATIVE or COMPOSE."""

    @property
    def data(self) -> Path:
        """The data folder."""

    @property
    def config_dir(self) -> Path:
        """The copy of the configuration that the components read."""

    @property
    def state(self) -> StackState:
        """What it was started with."""

    @property
    def data_location(self) -> str:
        """Where the components' data stay when they are stopped, as people say it."""

    def is_running(self) -> bool:
        """Whether it was started and something of it runs."""

    def prepare(self, *, without: Sequence[str] = (), progress: Progress = SILENT) -> None:
        """Have binaries or images on this machine; what is there already is left alone. Raises StackError."""

    def up(
        self, ports: Ports, *, overlays: Sequence[str] = (), without: Sequence[str] = (), progress: Progress = SILENT
    ) -> None:
        """Prepare and start every component but those `without`, and wait until each is ready.

        `overlays` are merged over the Collector's configuration: names of those shipped, or paths.
        Raises StackError, with everything stopped again, when one does not get ready.
        """

    def down(self, *, volumes: bool = False) -> bool:
        """Stop everything, and remove the engine's volumes if that is asked for. Returns whether anything was there."""

    def status(self) -> list[Status]:
        """How each component is that was started. Raises StackError when none was."""

    def log_command(self, names: Sequence[str], *, follow: bool) -> LogCommand:
        """What shows the end of the components' logs, and with `follow` goes on with what is written."""
