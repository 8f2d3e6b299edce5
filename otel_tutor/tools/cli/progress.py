"""How far a build is: bars on a terminal, lines elsewhere."""

from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from otel_tutor.tools.stack.components import Component

__all__ = ["BuildDisplay"]

# Seconds measured on two cores with nothing cached; a first guess of how long, until a component's own speed is known.
_SECONDS: Final = {
    "builder": 40,
    "victorialogs": 30,
    "jaeger": 300,
    "alertmanager": 60,
    "node-exporter": 30,
    "prometheus": 200,
    "collector": 150,
}


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

    def fetching(self, component: Component) -> None:
        """A new line for the component, of unknown length while its sources are fetched."""
        about = _SECONDS[component.name]
        self._finish()
        self._task = self._bars.add_task(f"{component.name} {component.version}: fetching sources", total=None)
        if not self._console.is_terminal:
            self._console.print(f"building {component.name} {component.version}, about {about} s on two cores ...")

    def compiling(self, component: Component, packages: int) -> None:
        """The length is known now."""
        if self._task is not None:
            self._bars.update(self._task, description=f"{component.name} {component.version}: compiling", total=packages)

    def compiled(self, component: Component) -> None:  # noqa: ARG002 - the protocol names it
        """One package further."""
        if self._task is not None:
            self._bars.advance(self._task)

    def built(self, component: Component, seconds: float) -> None:
        """The component is done."""
        self._finish()
        self._console.print(f"built {component.name} {component.version} in {seconds:.0f} s")

    def _finish(self) -> None:
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None
