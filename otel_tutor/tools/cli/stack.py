"""`otel-tutor build`, `up`, `restart`, `down` and `status`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from rich.console import Console
from rich.table import Table

from otel_tutor.errors import StackError
from otel_tutor.settings import data_folder
from otel_tutor.tools.cli.progress import BuildDisplay
from otel_tutor.tools.cli.running import choose_ports
from otel_tutor.tools.stack.backends import Backends
from otel_tutor.tools.stack.choice import COMPOSE, NATIVE, AnyStack, choose_stack, current, requested
from otel_tutor.tools.stack.containers.compose import environment
from otel_tutor.tools.stack.containers.stack import ContainerStack
from otel_tutor.tools.stack.files import cache_folder, shipped
from otel_tutor.tools.stack.native.build import Binaries, provide
from otel_tutor.tools.stack.ports import DEFAULTS, Ports
from otel_tutor.tools.stack.project import configured
from otel_tutor.tools.stack.status import Status, seconds_since_data

__all__ = [
    "binaries",
    "build",
    "choose_ports",
    "down",
    "mode_option",
    "pick",
    "port_option",
    "restart",
    "status",
    "up",
]

F = TypeVar("F", bound=Callable[..., Any])

_APP: Final = ("tutor", "students")  # of compose.yaml, what `up` leaves out: the app is the user's own
_PAGES: Final = {"grafana", "top"}
_SAID: Final = {NATIVE: "as processes", COMPOSE: "in containers"}
_MINUTE: Final = 60
_HOUR: Final = 3600


def port_option(command: F) -> F:
    """The option by which a port is moved."""
    return click.option(
        "--port",
        "ports",
        multiple=True,
        metavar="NAME=NUMBER",
        help=f"Use another port; may be given several times. Names: {', '.join(DEFAULTS)}.",
    )(command)


def mode_option(command: F) -> F:
    """The options that choose between processes and containers."""
    native = click.option("--native", "mode", flag_value=NATIVE, help="Run the components as processes.")
    compose = click.option("--compose", "mode", flag_value=COMPOSE, help="Run them in containers, by compose.yaml.")
    return native(compose(command))


def binaries(console: Console) -> Binaries:
    """Every binary of the stack, built where missing, with progress on the console."""
    with BuildDisplay(console) as display:
        return provide(shipped(), cache_folder(), display)


def pick(console: Console, mode: str | None, data: Path, without: Sequence[str]) -> AnyStack:
    """The stack to start on a data folder, with what containers need already there."""
    with console.status("looking for a container engine") as shown:
        return choose_stack(
            requested(mode),
            data,
            without=without,
            tell=shown.update,
            say=lambda why: console.print(why, soft_wrap=True, markup=False, highlight=False),
        )


@click.command(epilog="Example: otel-tutor build", short_help="Build the components that are missing, and start nothing.")
def build() -> None:
    """Build the components that are neither installed nor in the cache, and start nothing."""
    for name, path in sorted(binaries(Console()).items()):
        click.echo(f"{name:<14} {path}")


@click.command(
    epilog="Example: otel-tutor up --port prometheus=9091", short_help="Start the stack, and wait until it is ready."
)
@mode_option
@port_option
@click.option(
    "--overlay",
    "overlays",
    multiple=True,
    metavar="NAME|PATH",
    help="Merge a file of collector/overlays, or one of your own, over the Collector's configuration.",
)
def up(mode: str | None, ports: tuple[str, ...], overlays: tuple[str, ...]) -> None:
    """Start the stack and wait until it is ready: in containers where an engine answers, else as processes."""
    console, stack = Console(), current(data_folder())
    if stack.is_running():
        running = COMPOSE if isinstance(stack, ContainerStack) else NATIVE
        if requested(mode) not in {None, running}:
            raise StackError(f"the stack is up already, {_SAID[running]}: `otel-tutor down` first")
        console.print("The stack is up already.")
    else:
        stack = pick(console, mode, stack.data, _APP)
        _start(console, stack, choose_ports(ports), overlays)
    _say_where(console, stack)


@click.command(epilog="Example: otel-tutor restart", short_help="Stop and start, with the same ports and overlays.")
def restart() -> None:
    """Stop the stack and start it again, with the same ports and overlays and the files as they are now."""
    console, stack = Console(), current(data_folder())
    ports, overlays = stack.record.ports, stack.record.overlays
    if isinstance(stack, ContainerStack):
        with console.status("looking for images") as shown:
            stack.provide(without=_APP, tell=shown.update)  # before anything is stopped
    stack.down()
    _start(console, stack, ports, overlays)
    _say_where(console, stack)


def _start(console: Console, stack: AnyStack, ports: Ports, overlays: Sequence[str]) -> None:
    if isinstance(stack, ContainerStack):
        with console.status("starting") as shown:
            stack.up(ports, overlays=overlays, without=_APP, tell=shown.update)
        return
    found = binaries(console)
    with console.status("starting") as shown:
        stack.up(found, ports, overlays=overlays, without=_APP, tell=lambda name: shown.update(f"starting {name}"))


def _say_where(console: Console, stack: AnyStack) -> None:
    ports, names = stack.record.ports, {program.name for program in _show(console, stack)}
    if names & _PAGES:
        console.print(f"See it at http://localhost:{ports['grafana']}, or in this terminal with `otel-tutor top`.")
    if "grafana" in names and not environment(configured()).get("GRAFANA_ADMIN_PASSWORD"):
        console.print("Grafana's user admin has the password admin123: set GRAFANA_ADMIN_PASSWORD before others reach it.")
    console.print(f"Send OTLP to http://localhost:{ports['otlp']}; stop with `otel-tutor down`.")


@click.command(epilog="Example: otel-tutor down")
def down() -> None:
    """Stop the stack; its data stay."""
    stack = current(data_folder())
    where = f"volumes of {stack.project}" if isinstance(stack, ContainerStack) else str(stack.data)
    Console(soft_wrap=True).print(f"Stopped; data stay in {where}." if stack.down() else "The stack was not running.")


@click.command(epilog="Example: otel-tutor status", short_help="Show what runs, and whether it answers.")
def status() -> None:
    """Show what runs, where, since when, whether it answers, and how long ago it last received anything."""
    unready = [program.name for program in _show(Console(), current(data_folder())) if not program.ready]
    if unready:
        raise StackError(f"not ready: {', '.join(unready)}: see `otel-tutor logs {unready[0]}`, or `down` and `up` again")


def _show(console: Console, stack: AnyStack) -> list[Status]:
    """Print how each program is. Returns what was printed."""
    programs = stack.status()
    with Backends(stack.record.ports) as backends:
        since = seconds_since_data(backends)
    table = Table(box=None, pad_edge=False)
    for column in ("component", "version", "state", "pid", "up", "memory", "port", "last data"):
        table.add_column(column)
    for program in programs:
        table.add_row(
            program.name,
            program.version or "from PATH",
            "ready" if program.ready else "unready" if program.state == "running" else program.state,
            str(program.pid or "-"),
            _age(program.uptime),
            f"{program.memory / 2**20:.0f} MB" if program.memory else "-",
            str(program.port or "-"),
            f"{_age(since[program.name])} ago" if program.name in since else "-",
        )
    console.print(table)
    return programs


def _age(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    return f"{seconds / _MINUTE:.0f} min" if seconds < _HOUR else f"{seconds / _HOUR:.0f} h"
