"""What runs as a process: a component's row filled in for this machine, and the environment that all of them share."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from otel_tutor.tools.stack.components import COLLECTOR_FILES, COMPONENTS, Component
from otel_tutor.tools.stack.configuration import collector_files
from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.ports import LOOPBACK, Ports, page_url, variable

__all__ = ["Layout", "Program", "make_program", "stack_environment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A process to run; it is ready when `ready` answers 200."""

    name: str
    command: tuple[str, ...]
    ports: tuple[str, ...]  # names of the ports it listens on; the first is the one to show
    ready: str
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None  # it runs in, if not the data folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where the components of one stack find their binaries, files, data and each other."""

    binaries: Binaries
    configuration: Path
    data: Path
    ports: Ports
    overlays: Sequence[str] = ()

    def fill_in(self, template: str) -> str:
        """A template of a component's row, with the values of this stack."""
        return template.format(
            configuration=self.configuration,
            data=self.data,
            loopback=LOOPBACK,
            ports=self.ports,
            at={name: f"{LOOPBACK}:{number}" for name, number in self.ports.items()},
        )


def make_program(component: Component, layout: Layout) -> Program:
    """The process of a component."""
    return Program(
        name=component.name,
        command=tuple(_command(component, layout)),
        ports=tuple(port.name for port in component.ports),
        ready=page_url(component.ready, layout.ports),
        # What components with a module read is in the environment that they share.
        environment={} if component.module else _environment(component, layout),
        folder=Path(layout.fill_in(component.folder)),
    )


def _command(component: Component, layout: Layout) -> Iterator[str]:
    yield str(layout.binaries[component.module.program]) if component.module else sys.executable
    for argument in component.arguments:
        if argument == COLLECTOR_FILES:
            yield from (f"--config={path}" for path in collector_files(layout.configuration, layout.overlays))
        else:
            yield layout.fill_in(argument)


def _environment(component: Component, layout: Layout) -> dict[str, str]:
    return {name: layout.fill_in(value) for name, value in component.environment.items()}


def stack_environment(layout: Layout) -> dict[str, str]:
    """What the configuration files read from the environment, on top of what is there already.

    Variables for the OpenTelemetry SDK are left out: what is meant for the app must not steer the Collector.
    """
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("OTEL_") or name.startswith("OTEL_TUTOR_")
    }
    environment.update({variable(name): str(number) for name, number in layout.ports.items()})
    for component in COMPONENTS:
        if component.module:
            environment.update(_environment(component, layout))
    return environment
