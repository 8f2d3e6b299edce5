"""`otel-tutor config`: the configuration files, checked by their components, and the Collector's as it is merged."""

import subprocess

import click
from rich.console import Console

from otel_tutor.errors import StackError
from otel_tutor.settings import data_folder
from otel_tutor.tools.cli.options import overlay_option
from otel_tutor.tools.cli.progress import build_binaries
from otel_tutor.tools.cli.running import choose_ports
from otel_tutor.tools.naming import read_naming
from otel_tutor.tools.objectives import read_objectives
from otel_tutor.tools.stack.configuration import check_by_components, check_yaml, collector_files
from otel_tutor.tools.stack.dashboards import check_dashboards
from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.native.programs import Layout, stack_environment
from otel_tutor.tools.stack.output import last_line
from otel_tutor.tools.stack.project import active_config_dir

__all__ = ["config"]


@click.group(epilog="Example: otel-tutor config check")
def config() -> None:
    """Check the configuration, or print the Collector's as a whole."""


@config.command(
    epilog="Example: otel-tutor config check --overlay tail-sampling", short_help="Have the components check their files."
)
@overlay_option
def check(overlays: tuple[str, ...]) -> None:
    """Have Collector, Jaeger, Prometheus and Alertmanager check their files, and the queries of rules and dashboards.

    A family whose statements in naming.yaml are valid but cannot be interpreted here is listed with the reason.
    """
    source = active_config_dir()
    check_yaml(source)
    families, objectives = read_naming(source), read_objectives(source)
    binaries = build_binaries(Console(stderr=True))
    check_by_components(binaries, source, _environment(binaries), overlays)
    check_dashboards(binaries, source)
    for family in families:
        if family.uninterpreted:
            click.echo(f"{family.name} cannot be interpreted: {family.uninterpreted}")
    for sentence in objectives.unchecked:
        click.echo(sentence)
    click.echo(f"Everything in {source} is valid.")


@config.command(
    "print", epilog="Example: otel-tutor config print --overlay network", short_help="Print the Collector's, merged."
)
@overlay_option
def print_(overlays: tuple[str, ...]) -> None:
    """Print the merged Collector configuration, with secrets hidden."""
    source = active_config_dir()
    check_yaml(source)
    files = [f"--config={path}" for path in collector_files(source, overlays)]
    binaries = build_binaries(Console(stderr=True))
    command = [str(binaries["otelcol"]), "print-config", "--mode=redacted", *files]
    answer = subprocess.run(command, env=_environment(binaries), capture_output=True, text=True, check=False)
    if answer.returncode:
        raise StackError(f"the Collector rejects it: {last_line(answer.stderr)} (in {source})")
    click.echo(answer.stdout, nl=False)


def _environment(binaries: Binaries) -> dict[str, str]:
    layout = Layout(binaries=binaries, configuration=active_config_dir(), data=data_folder(), ports=choose_ports())
    return stack_environment(layout)
