"""`otel-tutor doctor`: a canary of each signal, followed from here to where it is kept."""

import dataclasses
import json

import click
from rich.console import Console

from otel_tutor.cli.slo import running_stack
from otel_tutor.doctor.path import examine
from otel_tutor.errors import StackError
from otel_tutor.stack.ports import choose

__all__ = ["doctor"]


@click.command(epilog="Example: OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317 otel-tutor doctor")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line, for machines.")
def doctor(as_json: bool) -> None:
    """Send a metric, a trace and a log line with this environment's settings, and see where they get to.

    A line a hop, with the seconds it took; where the canary is stopped, why, and what to do. The exit code is 0 only if
    everything arrived.
    """
    try:
        ports = running_stack().ports
    except StackError:
        ports = choose()
    console, stopped = Console(soft_wrap=True, highlight=False), None
    for finding in examine(ports):
        said = finding.line if finding.cause else ""
        if as_json:
            click.echo(json.dumps({**dataclasses.asdict(finding), "ok": not finding.cause, "line": said}))
        elif finding.cause:
            console.print(f"[{'red' if finding.stops else 'yellow'}]{'FAIL' if finding.stops else 'note'}[/]  {finding.hop}")
        else:
            console.print(f"[green]ok[/]    {finding.hop:<18} {finding.seconds:5.1f} s")
        if finding.cause and not finding.stops and not as_json:
            console.print(f"      {said}", markup=False)
        stopped = finding if finding.cause and finding.stops else stopped
    if stopped:
        raise StackError(f"{stopped.hop}: {stopped.line}")
