"""`otel-tutor config`: the configuration files, checked by their own components, and the Collector's as it is merged."""

import subprocess
from collections.abc import Callable
from typing import Any, TypeVar

import click
from rich.console import Console

from otel_tutor.errors import StackError
from otel_tutor.settings import data_folder
from otel_tutor.tools.cli.running import choose_ports
from otel_tutor.tools.cli.stack import binaries
from otel_tutor.tools.objectives import read_objectives
from otel_tutor.tools.stack.configuration import check_by_components, check_yaml, collector_files
from otel_tutor.tools.stack.dashboards import check_boards
from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.native.programs import Layout, stack_environment
from otel_tutor.tools.stack.project import configured

__all__ = ["config"]

F = TypeVar("F", bound=Callable[..., Any])


def _overlay_option(command: F) -> F:
    return click.option("--overlay", "overlays", multiple=True, metavar="NAME|PATH", help="As for `up`.")(command)


@click.group(epilog="Example: otel-tutor config check")
def config() -> None:
    """Check the configuration, or show the Collector's as a whole."""


@config.command(
    epilog="Example: otel-tutor config check --overlay tail-sampling", short_help="Have the components check their files."
)
@_overlay_option
def check(overlays: tuple[str, ...]) -> None:
    """Have Collector, Jaeger, Prometheus and Alertmanager check their files, and the queries of rules and dashboards."""
    check_yaml(configured())
    read_objectives(configured())
    programs = binaries(Console(stderr=True))
    check_by_components(programs, configured(), stack_environment(_layout(programs)), overlays)
    check_boards(programs, configured())
    click.echo(f"Everything in {configured()} is valid.")


@config.command(
    "print", epilog="Example: otel-tutor config print --overlay network", short_help="Print what the Collector gets, merged."
)
@_overlay_option
def print_(overlays: tuple[str, ...]) -> None:
    """Print the Collector's configuration as it is after merging, with secrets hidden."""
    check_yaml(configured())
    programs = binaries(Console(stderr=True))
    files = [f"--config={path}" for path in collector_files(configured(), overlays)]
    command = [str(programs["otelcol"]), "print-config", "--mode=redacted", *files]
    answer = subprocess.run(command, env=stack_environment(_layout(programs)), capture_output=True, text=True, check=False)
    if answer.returncode:
        said = [line.strip() for line in answer.stderr.splitlines() if line.strip()]
        raise StackError(f"the Collector does not take it: {said[-1] if said else 'it said nothing'} (in {configured()})")
    click.echo(answer.stdout, nl=False)


def _layout(programs: Binaries) -> Layout:
    return Layout(binaries=programs, configuration=configured(), data=data_folder(), ports=choose_ports())
