"""How far a build is: bars on a terminal, lines elsewhere."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from otel_tutor.tools.stack.components import Module

__all__ = ["BuildDisplay"]


class BuildDisplay:
    """Told by the build what it does; shows it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Progress(
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
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bars.stop()

    def fetching(self, module: Module) -> None:
        """A new line for the component, of unknown length while its sources are fetched."""
        about = module.seconds
        self._finish()
        self._task = self._bars.add_task(f"{module.name} {module.version}: fetching sources", total=None)
        if not self._console.is_terminal:
            self._console.print(f"building {module.name} {module.version}, about {about} s on two cores ...")

    def compiling(self, module: Module, packages: int) -> None:
        """The length is known now."""
        if self._task is not None:
            self._bars.update(self._task, description=f"{module.name} {module.version}: compiling", total=packages)

    def compiled(self, module: Module) -> None:  # noqa: ARG002 - the protocol names it
        """One package further."""
        if self._task is not None:
            self._bars.advance(self._task)

    def built(self, module: Module, seconds: float) -> None:
        """The component is done."""
        self._finish()
        self._console.print(f"built {module.name} {module.version} in {seconds:.0f} s")

    def _finish(self) -> None:
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None
