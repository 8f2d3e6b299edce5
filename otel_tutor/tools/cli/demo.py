"""`otel-tutor demo`: a tutor under load on the real stack, and what the backends say of it."""

import asyncio
import contextlib
import importlib.util
import shutil
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from otel_tutor.demo.lock import ProcessLock
from otel_tutor.errors import OtelTutorError, StackError
from otel_tutor.settings import data_folder
from otel_tutor.tools.cli.running import choose_ports
from otel_tutor.tools.cli.signals import show_spans
from otel_tutor.tools.cli.stack import binaries, mode_option, pick, port_option
from otel_tutor.tools.stack.backends import Backends
from otel_tutor.tools.stack.choice import AnyStack, current
from otel_tutor.tools.stack.components import COMPONENTS
from otel_tutor.tools.stack.containers.stack import ContainerStack
from otel_tutor.tools.stack.files import usable
from otel_tutor.tools.stack.ports import LOOPBACK, Ports

__all__ = ["check_extra", "demo"]

_STUDENTS: Final = ("students",)  # of compose.yaml: the load is sent from here, and counted
_NEEDED: Final = ("numpy", "sqlalchemy", "uvicorn")


@click.command(
    epilog="Example: otel-tutor demo --once --seconds 20", short_help="Observe a real tutoring app under load, and report."
)
@click.option("--once", is_flag=True, help="Stop after the report, also on a terminal.")
@click.option("--seconds", default=60, show_default=True, type=click.IntRange(5, 3600), help="How long the load runs.")
@mode_option
@port_option
def demo(once: bool, seconds: int, mode: str | None, ports: tuple[str, ...]) -> None:
    """Observe a real tutoring app: build what is missing, start all, ask questions, report what arrived."""
    check_extra()
    console, data = Console(soft_wrap=True, highlight=False), data_folder() / "demo"
    lock = _alone(data)
    chosen = choose_ports(ports)
    _clear(current(data))  # what one that was killed may have left
    stack = pick(console, mode, data, _STUDENTS)
    # SIGTERM and a closed terminal end the demo as Ctrl-C does: everything is stopped in order.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        _start(console, stack, chosen)
        lost = _observe(console, chosen, seconds)
        _show_addresses(console, stack)
        if not once and console.is_terminal and sys.stdin.isatty():
            console.print("\nThe tutor stays up; stop everything with Ctrl-C.")
            with contextlib.suppress(KeyboardInterrupt):
                signal.pause()
    finally:
        _clear(stack)
        lock.release()
    if lost:
        raise OtelTutorError(f"not everything arrived: {'; '.join(lost)}")


def _alone(data: Path) -> ProcessLock:
    """Held while the demo runs: containers, unlike processes, outlive a demo that was killed and tell nothing."""
    lock = ProcessLock(data.with_suffix(".lock"))
    with usable(data.parent):
        try:
            held = lock.acquire()
        except sqlite3.Error as error:
            raise OSError(error) from None
    if not held:
        raise StackError("a demo is running already: stop it with Ctrl-C where it was started")
    return lock


def _start(console: Console, stack: AnyStack, ports: Ports) -> None:
    """Each demo starts from nothing, so that what it reports is its own."""
    if isinstance(stack, ContainerStack):
        with console.status("starting") as shown:
            stack.up(ports, without=_STUDENTS, tell=shown.update)
        return
    found = binaries(console)
    shutil.rmtree(stack.data, ignore_errors=True)
    with console.status("starting") as shown:
        stack.up(found, ports, without=_STUDENTS, leashed=True, tell=lambda name: shown.update(f"starting {name}"))


def _clear(stack: AnyStack) -> None:
    if isinstance(stack, ContainerStack):
        stack.down(volumes=True)
    else:
        stack.down()


def check_extra() -> None:
    """Raise StackError when what the tutor itself needs is not installed."""
    if names := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        raise StackError(f"the demo needs {', '.join(names)}: pip install 'otel-tutor[demo]'")


def _observe(console: Console, ports: Ports, seconds: int) -> list[str]:
    from otel_tutor.tools.exercise.load import run_load
    from otel_tutor.tools.exercise.report import read_report

    app = f"http://{LOOPBACK}:{ports['app']}"
    with console.status(f"students ask questions for {seconds} s"):
        load = asyncio.run(run_load(app, seconds=seconds))
    console.print(f"Sent {sum(load.requests.values())} requests in {load.seconds:.0f} s.")
    with Backends(ports) as backends, console.status("waiting for all of it to arrive"):
        report = read_report(backends, load)
    console.print(f"\n[bold]Prometheus[/]  {sum(report.requests.values())} requests, {report.request_rate:.1f} a second")
    table = Table("", "P50 ms", "P95 ms", "P99 ms", box=None, pad_edge=False)
    for title, one in report.latencies.items():
        table.add_row(title, *(f"{1000 * value:.1f}" for value in (one.p50, one.p95, one.p99)))
    console.print(table)
    console.print("questions: " + ", ".join(f"{subject} {count}" for subject, count in sorted(report.questions.items())))
    if report.exemplar:
        console.print(
            f"\n[bold]Exemplar[/]    the slowest /ask that left one took {1000 * report.exemplar.value:.1f} ms, "
            f"in the bucket le={report.exemplar.labels['le']}: trace {report.exemplar.trace_id}"
        )
    console.print("\n[bold]Jaeger[/]      that trace")
    show_spans(console, report.trace)
    console.print("\n[bold]VictoriaLogs[/] its log lines")
    for line in report.logs:
        console.print(
            f"  {line['_time']} {line.get('severity_text', line.get('severity', ''))} {line['_msg']}", markup=False
        )
    return report.missing(load)


def _show_addresses(console: Console, stack: AnyStack) -> None:
    ports = stack.record.ports
    served = {status.port for status in stack.status()}
    console.print("\n[bold]Open[/]")
    for component in reversed(COMPONENTS):  # what people look at first was started last
        number = ports[component.ports[0].name]
        if component.look_at and number in served:
            title, page = component.look_at
            console.print(f"  {title:<15} http://localhost:{number}{page}")
