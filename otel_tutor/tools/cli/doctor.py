"""`otel-tutor doctor`: one metric, trace and log line, followed from here to where they are kept."""

import json

import click
from rich.console import Console

from otel_tutor.errors import StackError
from otel_tutor.tools.cli.running import choose_ports, find_running_stack
from otel_tutor.tools.doctor.finding import Finding
from otel_tutor.tools.doctor.path import examine
from otel_tutor.tools.stack.project import active_config_dir

__all__ = ["doctor"]


@click.command(epilog="Example: OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317 otel-tutor doctor --app main:app")
@click.option("--app", default="", metavar="MODULE:NAME", help="Send from this app's process, and check its loggers.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON Lines.")
def doctor(app: str, as_json: bool) -> None:
    """Send a metric, a trace and a log line with this environment's settings, and find where they get lost.

    Prints one line per hop, with the seconds it took; at the hop that fails, the cause and the remedy. The exit code is 0
    only if everything arrived.

    An app is named as uvicorn names it; it is imported and not served.
    """
    try:
        stack = find_running_stack()
        ports, configuration = stack.state.ports, stack.config_dir
    except StackError:
        ports, configuration = choose_ports(), active_config_dir()
    console, stopped = Console(soft_wrap=True, highlight=False), None
    for finding in examine(ports, app=app, configuration=configuration):
        if as_json:
            click.echo(json.dumps(finding.as_json()))
        else:
            _show(console, finding)
        stopped = finding if finding.cause and finding.stops else stopped
    if stopped:
        raise StackError(f"{stopped.hop}: {stopped.line}")


def _show(console: Console, finding: Finding) -> None:
    if not finding.cause:
        console.print(f"[green]ok[/]    {finding.hop:<18} {finding.seconds:5.1f} s  {finding.detail}".rstrip())
    elif finding.stops:
        console.print(f"[red]FAIL[/]  {finding.hop}")
    else:
        console.print(f"[yellow]note[/]  {finding.hop}")
        console.print(f"      {finding.line}", markup=False)
