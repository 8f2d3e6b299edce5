"""`otel-tutor metrics`, `trace` and `logs`: what there is, and what arrived, in the terminal."""

import fnmatch
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import click
from rich.console import Console
from rich.padding import Padding
from rich.text import Text
from rich.tree import Tree

from otel_tutor.errors import StackError
from otel_tutor.naming import Series
from otel_tutor.tools.cli.running import running_ports, running_stack
from otel_tutor.tools.naming import Family, read_naming
from otel_tutor.tools.reference import OTHERS, Other
from otel_tutor.tools.stack.backends import Backends, Span, tree
from otel_tutor.tools.stack.containers.stack import ContainerStack
from otel_tutor.tools.stack.project import configured

__all__ = ["logs", "metrics", "show_spans", "trace"]

_TRACE_ID: Final = re.compile("[0-9a-f]{32}")
_VALUE: Final = {"counter": "sum({})", "gauge": "max({})", "histogram": "sum({}_count)"}


@click.command(epilog="Example: otel-tutor metrics 'rag_*'", short_help="List the families, with what they have now.")
@click.argument("pattern", default="*")
def metrics(pattern: str) -> None:
    """List the families whose name matches, with what they have now where the stack is up.

    That is the sum of a counter, the highest value of a gauge, the number of measurements of a histogram.
    """
    known: list[Series | Other] = [*read_naming(configured()), *OTHERS]
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
        answers = {family.name: backends.query(_VALUE[family.type].format(family.name)) for family in families}
    return {name: f"{samples[0].value:g}" for name, samples in answers.items() if samples}


@click.command(epilog="Example: otel-tutor trace --slowest")
@click.argument("trace_id", required=False)
@click.option("--slowest", is_flag=True, help="The slowest of the last traces.")
@click.option("--errors", is_flag=True, help="The slowest of the last traces with an error.")
@click.option("--service", default="tutor", show_default=True, help="Whose traces --slowest and --errors look at.")
def trace(trace_id: str | None, slowest: bool, errors: bool, service: str) -> None:
    """Show a trace as a tree of spans, each with its log lines."""
    if sum(map(bool, (trace_id, slowest, errors))) != 1:
        raise StackError("name one trace: its id, --slowest or --errors")
    with Backends(running_ports()) as backends:
        if trace_id is None:
            found = backends.slowest(service, errors=errors)
            if not found:
                raise StackError(f"Jaeger has no such trace of {service} in the last 15 minutes")
            trace_id = str(found[0].tags["trace_id"])
        spans = backends.trace(_checked(trace_id))
        if not spans:
            raise StackError(
                f"Jaeger does not know trace {trace_id}: it arrives some seconds after its end, or was not sampled"
            )
        lines = backends.logs_of_trace(trace_id)
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"trace {trace_id}, {len(spans)} spans, {len(lines)} log lines")
    show_spans(console, spans, lines)


def _checked(trace_id: str) -> str:
    if not _TRACE_ID.fullmatch(trace_id):
        raise StackError(f"{trace_id!r} is not a trace id: it has 32 hexadecimal digits, in lower case")
    return trace_id


def show_spans(console: Console, spans: Sequence[Span], lines: Sequence[Mapping[str, str]] = ()) -> None:
    """Print spans as a tree, and under each the log lines that were written in it."""
    branches: list[Tree] = []
    roots: list[Tree] = []
    for depth, span in tree(list(spans)):
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


@click.command(
    epilog="Example: otel-tutor logs -f collector; of a trace: otel-tutor logs --trace ID",
    short_help="Show what the components wrote, or a trace's log lines.",
)
@click.argument("components", nargs=-1, metavar="[COMPONENT]...")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written, until Ctrl-C.")
@click.option("--trace", "trace_id", metavar="ID", help="The app's log lines of a trace, from VictoriaLogs.")
def logs(components: tuple[str, ...], follow: bool, trace_id: str | None) -> None:
    """Show the end of what the components of the stack wrote, of all or of some."""
    if trace_id:
        with Backends(running_ports()) as backends:
            for line in _texts(backends.logs_of_trace(_checked(trace_id))):
                click.echo(line)
        return
    stack = running_stack()
    known = [program.name for program in stack.status()]
    for name in components:
        if name not in known:
            raise StackError(f"there is no component {name!r}: choose of {', '.join(known)}")
    if isinstance(stack, ContainerStack):
        environment = stack.environment(stack.record.ports)
        subprocess.run(stack.log_command(components or known, follow=follow), cwd=stack.folder, env=environment, check=False)
        return
    paths = [str(stack.log(name)) for name in components or known]
    subprocess.run(["tail", "-n", "20", *(["-F"] if follow else []), "--", *paths], check=False)


def _texts(lines: Sequence[Mapping[str, str]]) -> Iterator[str]:
    for line in lines:
        yield f"{line['_time']} {_severity(line)} {line['_msg']}"
