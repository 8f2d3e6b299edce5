"""`otel-tutor doctor`: a canary of each signal, followed from here to where it is kept."""

import json

import click
from rich.console import Console

from otel_tutor.errors import StackError
from otel_tutor.tools.cli.running import choose_ports, running_stack
from otel_tutor.tools.doctor.finding import Finding
from otel_tutor.tools.doctor.path import examine
from otel_tutor.tools.stack.project import configured

__all__ = ["doctor"]


@click.command(
    epilog="Example: OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317 otel-tutor doctor --app main:app",
    short_help="Find out why nothing is to be seen.",
)
@click.option("--app", default="", metavar="MODULE:NAME", help="Send it from this app's process, and look at its loggers.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line, for machines.")
def doctor(app: str, as_json: bool) -> None:
    """Send a metric, a trace and a log line with this environment's settings, and see where they get to.

    A line a hop, with the seconds it took; where the canary is stopped, why, and what to do. The exit code is 0 only if
    everything arrived.

    An app is named as uvicorn names it; it is imported and not served.
    """
    try:
        stack = running_stack()
        ports, configuration = stack.record.ports, stack.data / "config"
    except StackError:
        ports, configuration = choose_ports(), configured()
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
