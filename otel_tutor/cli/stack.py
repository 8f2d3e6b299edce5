"""`otel-tutor build`, `up`, `down` and `status`."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table

from otel_tutor.cli.progress import BuildDisplay
from otel_tutor.errors import StackError
from otel_tutor.settings import data_folder
from otel_tutor.stack.build import Binaries, provide
from otel_tutor.stack.files import cache_folder, shipped
from otel_tutor.stack.ports import DEFAULTS, Ports, choose
from otel_tutor.stack.project import configured
from otel_tutor.stack.stack import Stack
from otel_tutor.top.program import top_programs

__all__ = ["binaries", "build", "down", "port_option", "restart", "status", "up"]

F = TypeVar("F", bound=Callable[..., Any])


def port_option(command: F) -> F:
    """The option by which a port is moved."""
    return click.option(
        "--port",
        "ports",
        multiple=True,
        metavar="NAME=NUMBER",
        help=f"Use another port; may be given several times. Names: {', '.join(DEFAULTS)}.",
    )(command)


def binaries(console: Console) -> Binaries:
    """Every binary of the stack, built where missing, with progress on the console."""
    with BuildDisplay(console) as display:
        return provide(shipped(), cache_folder(), display)


@click.command(epilog="Example: otel-tutor build")
def build() -> None:
    """Build the components that are neither installed nor in the cache, and start nothing."""
    for name, path in sorted(binaries(Console()).items()):
        click.echo(f"{name:<14} {path}")


@click.command(epilog="Example: otel-tutor up --port prometheus=9091")
@port_option
@click.option(
    "--overlay",
    "overlays",
    multiple=True,
    metavar="NAME|PATH",
    help="Merge a file of collector/overlays, or one of your own, over the Collector's configuration.",
)
def up(ports: tuple[str, ...], overlays: tuple[str, ...]) -> None:
    """Start the stack and wait until it is ready; build what is missing first."""
    console, stack = Console(), Stack(data_folder())
    if stack.is_running():
        console.print("The stack is up already.")
    else:
        _start(console, stack, choose(ports), overlays)
    _say_where(console, stack)


@click.command(epilog="Example: otel-tutor restart")
def restart() -> None:
    """Stop the stack and start it again, with the same ports and overlays and the files as they are now."""
    console, stack = Console(), Stack(data_folder())
    ports, overlays = stack.ports, stack.overlays
    stack.down()
    _start(console, stack, ports, overlays)
    _say_where(console, stack)


def _start(console: Console, stack: Stack, ports: Ports, overlays: Sequence[str]) -> None:
    found = binaries(console)
    page = top_programs(stack.data, ports, configured())
    with console.status("starting") as shown:
        stack.up(found, ports, overlays=overlays, extra=page, tell=lambda name: shown.update(f"starting {name}"))


def _say_where(console: Console, stack: Stack) -> None:
    _show(console, stack)
    if any(program.name == "top" for program in stack.status()):
        console.print(f"See it at http://localhost:{stack.ports['top']}, or in this terminal with `otel-tutor top`.")
    console.print(f"Send OTLP to http://localhost:{stack.ports['otlp']}; stop with `otel-tutor down`.")


@click.command(epilog="Example: otel-tutor down")
def down() -> None:
    """Stop the stack; its data stay."""
    stack = Stack(data_folder())
    Console().print(f"Stopped; data stay in {stack.data}." if stack.down() else "The stack was not running.")


@click.command(epilog="Example: otel-tutor status")
def status() -> None:
    """Show what runs, where, since when, and whether it answers."""
    stack = Stack(data_folder())
    _show(Console(), stack)
    unready = [program.name for program in stack.status() if not program.ready]
    if unready:
        raise StackError(f"not ready: {', '.join(unready)}: see {stack.supervisor.logs}, or `otel-tutor down` and `up`")


def _show(console: Console, stack: Stack) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("component", "version", "state", "pid", "up", "memory", "port", "ready"):
        table.add_column(column)
    for program in stack.status():
        table.add_row(
            program.name,
            program.version or "from PATH",
            program.state.lower(),
            str(program.pid or "-"),
            str(timedelta(seconds=int(program.uptime))),
            f"{program.memory / 2**20:.0f} MB",
            str(next(iter(program.ports.values()))),
            "yes" if program.ready else "no",
        )
    console.print(table)
