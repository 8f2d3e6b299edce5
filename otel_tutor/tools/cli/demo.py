"""`otel-tutor demo`: a tutor under load on the real stack, and what the backends say of it."""

import asyncio
import contextlib
import importlib.util
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click
from filelock import FileLock, Timeout
from rich.console import Console
from rich.table import Table

from otel_tutor.errors import OtelTutorError, StackError
from otel_tutor.settings import data_folder
from otel_tutor.tools.cli.options import mode_option, port_option
from otel_tutor.tools.cli.progress import Display
from otel_tutor.tools.cli.running import choose_ports
from otel_tutor.tools.cli.signals import show_spans
from otel_tutor.tools.stack.backends import Backends
from otel_tutor.tools.stack.choice import choose_stack, requested_mode, running_stack
from otel_tutor.tools.stack.components import COMPONENTS
from otel_tutor.tools.stack.files import check_ours, empty_dir, writable_dir
from otel_tutor.tools.stack.ports import LOOPBACK, Ports
from otel_tutor.tools.stack.protocol import Stack

__all__ = ["check_extra", "demo"]

_LOAD: Final = ("students",)  # of compose.yaml: the load is sent from here, and counted
_NEEDED: Final = ("numpy", "openai", "sqlalchemy", "uvicorn")


@click.command(epilog="Example: otel-tutor demo --once --seconds 20")
@click.option("--once", is_flag=True, help="Stop after the report, also on a terminal.")
@click.option("--seconds", default=60, show_default=True, type=click.IntRange(5, 3600), help="How long the load runs.")
@mode_option
@port_option
def demo(once: bool, seconds: int, mode: str | None, ports: Mapping[str, int]) -> None:
    """Observe a real tutoring app: build what is missing, start all, ask questions, report what arrived."""
    check_extra()
    console, data = Console(soft_wrap=True, highlight=False), data_folder() / "demo"
    lock = _lock(data)
    chosen = choose_ports(ports)
    check_ours(data)
    running_stack(data).down(volumes=True)  # what one that was killed may have left
    empty_dir(data)  # a report is about one demo
    with Display(console) as progress:
        stack = choose_stack(
            requested_mode(mode), data, without=_LOAD, die_with_parent=True, progress=progress, warn=progress.warn
        )
    # SIGTERM and a closed terminal end the demo as Ctrl-C does: everything is stopped in order.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        with Display(console) as progress:
            stack.up(chosen, without=_LOAD, progress=progress)
        lost = _observe(console, chosen, seconds)
        _show_addresses(console, stack)
        if not once and console.is_terminal and sys.stdin.isatty():
            console.print("\nThe tutor stays up; stop everything with Ctrl-C.")
            with contextlib.suppress(KeyboardInterrupt):
                signal.pause()
    finally:
        stack.down(volumes=True)
        lock.release()
    if lost:
        raise OtelTutorError(f"not everything arrived: {'; '.join(lost)}")


def _lock(data: Path) -> FileLock:
    """Held while the demo runs: containers, unlike processes, outlive a demo that was killed and do not say so."""
    lock = FileLock(data.with_suffix(".lock"))
    with writable_dir(data.parent):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise StackError("a demo is running already: stop it with Ctrl-C where it was started") from None
    return lock


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
    for title, latency in report.latencies.items():
        table.add_row(title, *(f"{1000 * value:.1f}" for value in (latency.p50, latency.p95, latency.p99)))
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


def _show_addresses(console: Console, stack: Stack) -> None:
    ports = stack.state.ports
    served = {program.port for program in stack.status()}
    console.print("\n[bold]Open[/]")
    for component in reversed(COMPONENTS):  # what people look at first was started last
        number = ports[component.ports[0].name]
        if component.look_at and number in served:
            title, page = component.look_at
            console.print(f"  {title:<15} http://localhost:{number}{page}")
