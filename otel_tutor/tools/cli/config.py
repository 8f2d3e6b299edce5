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
from otel_tutor.tools.naming import read_naming
from otel_tutor.tools.objectives import read_objectives
from otel_tutor.tools.stack.configuration import check_by_components, check_yaml, collector_files
from otel_tutor.tools.stack.dashboards import check_boards
from otel_tutor.tools.stack.native.programs import stack_environment
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
    """Have Collector, Jaeger, Prometheus and Alertmanager check their files, and the queries of rules and dashboards.

    A family whose statements in naming.yaml are valid but cannot be interpreted here is listed with the reason.
    """
    check_yaml(configured())
    families, objectives = read_naming(configured()), read_objectives(configured())
    found = binaries(Console(stderr=True))
    check_by_components(found, configured(), stack_environment(data_folder(), choose_ports()), overlays)
    check_boards(found, configured())
    for family in families:
        if family.uninterpreted:
            click.echo(f"{family.name} cannot be interpreted: {family.uninterpreted}")
    for sentence in objectives.unchecked:
        click.echo(sentence)
    click.echo(f"Everything in {configured()} is valid.")


@config.command(
    "print", epilog="Example: otel-tutor config print --overlay network", short_help="Print what the Collector gets, merged."
)
@_overlay_option
def print_(overlays: tuple[str, ...]) -> None:
    """Print the Collector's configuration as it is after merging, with secrets hidden."""
    check_yaml(configured())
    files = [f"--config={path}" for path in collector_files(configured(), overlays)]
    command = [str(binaries(Console(stderr=True))["otelcol"]), "print-config", "--mode=redacted", *files]
    environment = stack_environment(data_folder(), choose_ports())
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if answer.returncode:
        said = [line.strip() for line in answer.stderr.splitlines() if line.strip()]
        raise StackError(f"the Collector does not take it: {said[-1] if said else 'it said nothing'} (in {configured()})")
    click.echo(answer.stdout, nl=False)
