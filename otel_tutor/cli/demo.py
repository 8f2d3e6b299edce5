"""`otel-tutor demo`: a tutor under load on the real stack, and what the backends say of it."""

import asyncio
import contextlib
import importlib.util
import shutil
import signal
import sys
from typing import Final

import click
from rich.console import Console
from rich.table import Table

from otel_tutor.cli.signals import show_spans
from otel_tutor.cli.stack import binaries, port_option
from otel_tutor.demo.tutor_program import tutor_program
from otel_tutor.errors import OtelTutorError, StackError
from otel_tutor.settings import data_folder
from otel_tutor.stack.backends import Backends
from otel_tutor.stack.ports import LOOPBACK, Ports, choose
from otel_tutor.stack.project import configured
from otel_tutor.stack.stack import Stack
from otel_tutor.top.program import missing, top_programs

__all__ = ["check_extra", "demo"]

_NEEDED: Final = ("numpy", "sqlalchemy", "uvicorn")


@click.command(epilog="Example: otel-tutor demo --once --seconds 20")
@click.option("--once", is_flag=True, help="Stop after the report, also on a terminal.")
@click.option("--seconds", default=60, show_default=True, type=click.IntRange(5, 3600), help="How long the load runs.")
@port_option
def demo(once: bool, seconds: int, ports: tuple[str, ...]) -> None:
    """Observe a real tutoring app: build what is missing, start all, ask questions, report what arrived."""
    check_extra()
    console = Console(soft_wrap=True, highlight=False)
    stack = Stack(data_folder() / "demo")
    if stack.is_running():
        raise StackError("a demo is running already: stop it with Ctrl-C where it was started")
    chosen = choose(ports)
    found = binaries(console)
    # Each demo starts from nothing, so that what it reports is its own.
    shutil.rmtree(stack.data, ignore_errors=True)
    # SIGTERM and a closed terminal end the demo as Ctrl-C does: everything is stopped in order.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        with console.status("starting") as shown:
            programs = [tutor_program(stack.data, chosen), *top_programs(stack.data, chosen, configured())]
            stack.up(found, chosen, extra=programs, leashed=True, tell=lambda name: shown.update(f"starting {name}"))
        lost = _observe(console, chosen, seconds)
        if not once and console.is_terminal and sys.stdin.isatty():
            console.print("\nThe tutor stays up; stop everything with Ctrl-C.")
            with contextlib.suppress(KeyboardInterrupt):
                signal.pause()
    finally:
        stack.down()
    if lost:
        raise OtelTutorError(f"not everything arrived: {'; '.join(lost)}")


def check_extra() -> None:
    """Raise StackError when what the tutor itself needs is not installed."""
    if names := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        raise StackError(f"the demo needs {', '.join(names)}: pip install 'otel-tutor[demo]'")


def _observe(console: Console, ports: Ports, seconds: int) -> list[str]:
    from otel_tutor.demo.load import run_load
    from otel_tutor.demo.report import read_report

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
    _show_addresses(console, ports, report.exemplar.trace_id if report.exemplar else "")
    return report.missing(load)


def _show_addresses(console: Console, ports: Ports, trace_id: str) -> None:
    console.print("\n[bold]Open[/]")
    page = {} if missing() else {"the overview": f"{ports['top']}/"}
    addresses = page | {
        "the tutor": f"{ports['app']}/",
        "Prometheus API": f"{ports['prometheus']}/api/v1/query?query=http_requests_total",
        "Jaeger API": f"{ports['jaeger']}/api/traces/{trace_id}",
        "VictoriaLogs": f"{ports['victorialogs']}/select/vmui",
        "Alertmanager": f"{ports['alertmanager']}/",
        "notifications": f"{ports['pager']}/notifications",
    }
    for title, address in addresses.items():
        console.print(f"  {title:<15} http://localhost:{address}")
