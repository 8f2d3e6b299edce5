"""What is done for a stack, on the console: a spinner for a step, bars for a build, lines where there is no terminal."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from otel_tutor.settings import shipped_config_dir
from otel_tutor.tools.stack.components import Module
from otel_tutor.tools.stack.files import cache_folder
from otel_tutor.tools.stack.native.build import Binaries, provide
from otel_tutor.tools.stack.progress import Progress

__all__ = ["Display", "build_binaries"]


class Display(Progress):
    """Shows progress while its block is entered."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._spinner = console.status("")
        self._bars = Bars(
            TextColumn("{task.description:<42}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._spinner.stop()
        self._bars.stop()

    def step(self, what: str) -> None:
        """A spinner, in place of the bars: the console shows one live display at a time."""
        self._bars.stop()
        self._spinner.update(what)
        self._spinner.start()

    def warn(self, why: str) -> None:
        """A line that stays."""
        self._console.print(why, soft_wrap=True, markup=False, highlight=False)

    def fetching(self, module: Module) -> None:
        """A new bar for the module, of unknown length while its sources are fetched."""
        self._finish()
        self._spinner.stop()
        self._bars.start()
        self._task = self._bars.add_task(f"{module.name} {module.version}: fetching sources", total=None)
        if not self._console.is_terminal:
            self._console.print(f"building {module.name} {module.version}, about {module.seconds} s on two cores ...")

    def compiling(self, module: Module, packages: int) -> None:
        """The length is known now."""
        if self._task is not None:
            self._bars.update(self._task, description=f"{module.name} {module.version}: compiling", total=packages)

    def compiled(self, module: Module) -> None:  # noqa: ARG002 - its bar is the only one
        """One package further."""
        if self._task is not None:
            self._bars.advance(self._task)

    def built(self, module: Module, seconds: float) -> None:
        """The module is done."""
        self._finish()
        self._console.print(f"built {module.name} {module.version} in {seconds:.0f} s")

    def _finish(self) -> None:
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None


def build_binaries(console: Console) -> Binaries:
    """Every binary of the stack, built where it is missing, with progress on the console. Raises BuildError."""
    with Display(console) as progress:
        return provide(shipped_config_dir(), cache_folder(), progress)
