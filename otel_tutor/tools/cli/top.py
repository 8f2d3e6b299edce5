"""`otel-tutor top`: the overview in this terminal, or in a browser."""

import os
import shlex
import sys
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console
from rich.table import Table

from otel_tutor.errors import StackError
from otel_tutor.tools.cli.running import running_ports
from otel_tutor.tools.stack.backends import Backends
from otel_tutor.tools.stack.native.page import missing_for_top
from otel_tutor.tools.stack.ports import DEFAULTS, LOOPBACK, check_free
from otel_tutor.tools.stack.project import active_config_dir

if TYPE_CHECKING:
    from otel_tutor.tools.top.overview import Frame

__all__ = ["top"]

_SERVED: Final = "TEXTUAL_DRIVER"  # set where a browser is the terminal


@click.command(epilog="Example: otel-tutor top; for a log: otel-tutor top --once")
@click.option("--once", is_flag=True, help="Print one frame and end.")
@click.option("--web", is_flag=True, help="Serve it on this machine, for a browser, until Ctrl-C.")
@click.option(
    "--web-port", default=DEFAULTS["grafana"], show_default=True, type=click.IntRange(1, 65535), help="The port for --web."
)
def top(once: bool, web: bool, web_port: int) -> None:
    """Show the overview: the dashboard's seven panels, alerts, error budgets, the slowest traces."""
    if names := missing_for_top():
        raise StackError(f"top needs {', '.join(names)}: pip install 'otel-tutor[top]'")
    ports, configuration = running_ports(), active_config_dir()
    if once:
        from otel_tutor.tools.top.overview import read_frame, read_panels

        with Backends(ports) as backends:
            _print(Console(), read_frame(backends, read_panels(configuration)))
    elif web:
        _serve(web_port)
    else:
        from otel_tutor.tools.top.screen import Top

        if not sys.stdout.isatty() and _SERVED not in os.environ:
            raise StackError("top needs a terminal: `otel-tutor top --once` prints one frame")
        Top(configuration, ports).run()


def _serve(port: int) -> None:
    from textual_serve.server import Server

    check_free({"web": port})
    click.echo(f"Serving on http://localhost:{port}; stop with Ctrl-C.")
    command = shlex.join([sys.executable, "-m", "otel_tutor", "top"])
    Server(command, host=LOOPBACK, port=port, title="otel_tutor", public_url=f"http://localhost:{port}").serve()


def _print(console: Console, frame: "Frame") -> None:
    from otel_tutor.tools.top.overview import shown

    table = Table(box=None, pad_edge=False, show_header=False)
    for reading in frame.readings:
        style = "red" if reading.is_bad else None
        for number, (name, values) in enumerate(reading.series.items() or {"": ()}.items()):
            value = shown(values[-1] if values else None, reading.panel.unit)
            table.add_row(reading.panel.title if number == 0 else "", name, value, style=style)
    console.print(table)
    console.print("\nalerts: " + (", ".join(frame.alerts) or "none"))
    console.print(
        "budgets left: " + (", ".join(f"{slo} {left:.1%}" for slo, left in frame.budgets.items()) or "no data yet")
    )
    console.print("cost of models: " + (", ".join(frame.costs) or "no prices, or no call yet"))
    for span in frame.slowest[:3]:
        console.print(f"slow: {shown(span.duration, 's')} {span.name} {span.tags['trace_id']}")
