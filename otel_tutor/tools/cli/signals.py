"""`otel-tutor metrics`, `trace` and `logs`: what there is, and what arrived, in the terminal."""

import fnmatch
import re
import subprocess
from collections.abc import Mapping, Sequence
from typing import Final

import click
from rich.console import Console
from rich.padding import Padding
from rich.text import Text
from rich.tree import Tree

from otel_tutor.errors import StackError
from otel_tutor.naming import Series
from otel_tutor.tools.cli.running import find_running_stack, running_ports
from otel_tutor.tools.naming import Family, read_naming
from otel_tutor.tools.reference import OTHERS, Other
from otel_tutor.tools.stack.backends import NEWEST, WINDOW, Backends, Span
from otel_tutor.tools.stack.project import active_config_dir
from otel_tutor.tools.stack.traces import gaps, tree

__all__ = ["logs", "metrics", "show_spans", "trace"]

_TRACE_ID: Final = re.compile("[0-9a-f]{32}")
_VALUE: Final = {"counter": "sum({})", "gauge": "max({})", "histogram": "sum({}_count)"}
_NEWEST: Final = f"the newest {NEWEST} traces of the last {WINDOW // 60} minutes"


@click.command(epilog="Example: otel-tutor metrics 'rag_*'")
@click.argument("pattern", default="*")
def metrics(pattern: str) -> None:
    """List the metric families whose name matches PATTERN, and their current values where the stack is up.

    The value of a counter is its sum, of a gauge its highest value, of a histogram the number of its measurements.
    """
    known: list[Series | Other] = [*read_naming(active_config_dir()), *OTHERS]
    families = [family for family in known if fnmatch.fnmatch(family.name, pattern)]
    if not families:
        raise StackError(f"no family matches {pattern!r}: `otel-tutor metrics` lists all of them")
    values, console = _values(families), Console(highlight=False)
    width = max(len(family.name) for family in families)
    console.print(f"{'family':<{width}}  type       now", style="bold", soft_wrap=True)
    for family in families:
        console.print(f"{family.name:<{width}}  {family.type:<9}  {values.get(family.name, '-')}", soft_wrap=True)
        labels = f" By {', '.join(family.labels)}." if family.labels else ""
        console.print(Padding(f"{family.meaning}{labels}", (0, 0, 0, 4), expand=False), style="dim")
        if isinstance(family, Family) and family.uninterpreted:
            note = Text(f"It may be different: {family.uninterpreted}.", "yellow")
            console.print(Padding(note, (0, 0, 0, 4), expand=False))


def _values(families: Sequence[Series | Other]) -> Mapping[str, str]:
    try:
        ports = running_ports()
    except StackError:
        return {}
    with Backends(ports) as backends:
        samples = {family.name: backends.query(_VALUE[family.type].format(family.name)) for family in families}
    return {name: f"{now[0].value:g}" for name, now in samples.items() if now}


@click.command(epilog="Example: otel-tutor trace --slowest")
@click.argument("trace_id", required=False)
@click.option("--slowest", is_flag=True, help=f"The slowest of {_NEWEST}.")
@click.option("--errors", is_flag=True, help=f"The slowest of {_NEWEST} that have an error.")
@click.option("--service", default="tutor", show_default=True, help="The service that --slowest and --errors look at.")
def trace(trace_id: str | None, slowest: bool, errors: bool, service: str) -> None:
    """Show a trace as a tree of spans, each with its log lines."""
    if sum(map(bool, (trace_id, slowest, errors))) != 1:
        raise click.UsageError("name one trace: its id, --slowest or --errors")
    if trace_id is not None:
        _check_id(trace_id)
    with Backends(running_ports()) as backends:
        if trace_id is None:
            roots = backends.slowest(service, errors=errors)
            if not roots:
                raise StackError(f"Jaeger has no such trace of {service} in the last {WINDOW // 60} minutes")
            trace_id = str(roots[0].tags["trace_id"])
        spans = backends.trace(trace_id)
        if not spans:
            raise StackError(
                f"Jaeger does not know trace {trace_id}: it arrives some seconds after its end, or was not sampled"
            )
        lines = backends.logs_of_trace(trace_id)
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"trace {trace_id}, {len(spans)} spans, {len(lines)} log lines")
    if lacking := gaps(spans):
        console.print(f"[yellow]incomplete[/]: Jaeger does not have {', '.join(lacking)}; it may arrive yet, or was lost")
    show_spans(console, spans, lines)


def _check_id(trace_id: str) -> None:
    if not _TRACE_ID.fullmatch(trace_id):
        raise click.UsageError(f"{trace_id!r} is not a trace id: it has 32 hexadecimal digits, in lower case")


def show_spans(console: Console, spans: Sequence[Span], lines: Sequence[Mapping[str, str]] = ()) -> None:
    """Print spans as a tree, and under each the log lines that were written in it."""
    branches: list[Tree] = []
    roots: list[Tree] = []
    for depth, span in tree(spans):
        failed = " [red]error[/]" if span.tags.get("error") else ""
        label = f"{span.name}  [dim]{1000 * span.duration:.1f} ms[/]{failed}"
        branch = branches[depth - 1].add(label) if depth else Tree(label)
        branches[depth:] = [branch]
        for line in lines:
            if line.get("span_id") == span.span_id:
                branch.add(Text(f"{_severity(line)} {line['_msg']}", "dim"))
        if not depth:
            roots.append(branch)
    for root in roots:
        console.print(root)


def _severity(line: Mapping[str, str]) -> str:
    return line.get("severity_text", line.get("severity", ""))


@click.command(epilog="Example: otel-tutor logs -f collector; of a trace: otel-tutor logs --trace ID")
@click.argument("components", nargs=-1, metavar="[COMPONENT]...")
@click.option("-f", "--follow", is_flag=True, help="Follow the logs, until Ctrl-C.")
@click.option("--trace", "trace_id", metavar="ID", help="The app's log lines of a trace, from VictoriaLogs.")
def logs(components: tuple[str, ...], follow: bool, trace_id: str | None) -> None:
    """Show the end of the logs of every component of the stack, or of the components that are named."""
    if trace_id:
        _check_id(trace_id)
        with Backends(running_ports()) as backends:
            for line in backends.logs_of_trace(trace_id):
                click.echo(f"{line['_time']} {_severity(line)} {line['_msg']}")
        return
    stack = find_running_stack()
    known = [program.name for program in stack.status()]
    for name in components:
        if name not in known:
            raise click.UsageError(f"there is no component {name!r}: choose from {', '.join(known)}")
    command = stack.log_command(components or known, follow=follow)
    subprocess.run(command.words, cwd=command.folder, env=command.environment, check=False)
