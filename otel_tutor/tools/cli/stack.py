"""`otel-tutor build`, `up`, `restart`, `down` and `status`."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import click
import humanize
from rich.console import Console
from rich.table import Table

from otel_tutor.errors import StackError
from otel_tutor.settings import data_folder
from otel_tutor.tools.cli.options import mode_option, overlay_option, port_option
from otel_tutor.tools.cli.progress import Display, build_binaries
from otel_tutor.tools.cli.running import choose_ports
from otel_tutor.tools.stack.backends import Backends
from otel_tutor.tools.stack.choice import choose_stack, requested_mode, running_stack
from otel_tutor.tools.stack.containers.compose import environment
from otel_tutor.tools.stack.project import active_config_dir
from otel_tutor.tools.stack.protocol import COMPOSE, NATIVE, Stack
from otel_tutor.tools.stack.status import Status, seconds_since_data

__all__ = ["build", "down", "restart", "status", "up"]

_APP: Final = ("tutor", "students")  # what `up` leaves out: the app is the user's
_RUNS: Final = {NATIVE: "as processes", COMPOSE: "in containers"}


@click.command(epilog="Example: otel-tutor build")
def build() -> None:
    """Build the components that are neither installed nor in the cache, and start nothing."""
    for name, path in sorted(build_binaries(Console()).items()):
        click.echo(f"{name:<14} {path}")


@click.command(epilog="Example: otel-tutor up --port prometheus=9091")
@mode_option
@port_option
@overlay_option
def up(mode: str | None, ports: Mapping[str, int], overlays: tuple[str, ...]) -> None:
    """Start the stack and wait until it is ready: in containers where an engine answers, else as processes."""
    console, stack = Console(), running_stack(data_folder())
    if stack.is_running():
        if requested_mode(mode) not in {None, stack.mode}:
            raise StackError(f"the stack is up already, {_RUNS[stack.mode]}: `otel-tutor down` first")
        console.print("The stack is up already.")
    else:
        chosen = choose_ports(ports)
        with Display(console) as progress:
            stack = choose_stack(requested_mode(mode), stack.data, without=_APP, progress=progress, warn=progress.warn)
            stack.up(chosen, overlays=overlays, without=_APP, progress=progress)
    _show_addresses(console, stack)


@click.command(epilog="Example: otel-tutor restart")
def restart() -> None:
    """Stop the stack and start it again, with the same ports and overlays and the files as they are now."""
    console, stack = Console(), running_stack(data_folder())
    ports, overlays = stack.state.ports, stack.state.overlays
    with Display(console) as progress:
        stack.prepare(without=_APP, progress=progress)  # before anything is stopped
        stack.down()
        stack.up(ports, overlays=overlays, without=_APP, progress=progress)
    _show_addresses(console, stack)


def _show_addresses(console: Console, stack: Stack) -> None:
    ports, programs = stack.state.ports, _show(console, stack)
    if any(program.port == ports["grafana"] for program in programs):
        console.print(f"See it at http://localhost:{ports['grafana']}, or in this terminal with `otel-tutor top`.")
    has_grafana = any(program.name == "grafana" for program in programs)
    if has_grafana and not environment(active_config_dir()).get("GRAFANA_ADMIN_PASSWORD"):
        console.print("Grafana's user admin has the password admin123: set GRAFANA_ADMIN_PASSWORD before others reach it.")
    console.print(f"Send OTLP to http://localhost:{ports['otlp']}; stop with `otel-tutor down`.")


@click.command(epilog="Example: otel-tutor down")
def down() -> None:
    """Stop the stack; its data stay."""
    stack = running_stack(data_folder())
    Console(soft_wrap=True).print(
        f"Stopped; data stay in {stack.data_location}." if stack.down() else "The stack was not running."
    )


@click.command(epilog="Example: otel-tutor status")
def status() -> None:
    """Show what runs, where, since when, whether it answers, and how long ago it last received anything."""
    unready = [program.name for program in _show(Console(), running_stack(data_folder())) if not program.ready]
    if unready:
        raise StackError(f"not ready: {', '.join(unready)}: see `otel-tutor logs {unready[0]}`, or `down` and `up` again")


def _show(console: Console, stack: Stack) -> list[Status]:
    """Print how each program is. Returns what was printed."""
    programs = stack.status()
    with Backends(stack.state.ports) as backends:
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
            humanize.naturalsize(program.memory, binary=True, format="%.0f") if program.memory else "-",
            str(program.port or "-"),
            f"{_age(since[program.name])} ago" if program.name in since else "-",
        )
    console.print(table)
    return programs


def _age(seconds: float) -> str:
    return humanize.naturaldelta(timedelta(seconds=seconds))
