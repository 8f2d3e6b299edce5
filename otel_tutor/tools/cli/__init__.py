"""`otel-tutor`: the only code that prints or exits."""

import sys
from typing import Final

import click

from otel_tutor import __version__
from otel_tutor.errors import OtelTutorError
from otel_tutor.tools.cli.config import config
from otel_tutor.tools.cli.demo import demo
from otel_tutor.tools.cli.doctor import doctor
from otel_tutor.tools.cli.drill import drill
from otel_tutor.tools.cli.init import init
from otel_tutor.tools.cli.signals import logs, metrics, trace
from otel_tutor.tools.cli.slo import slo
from otel_tutor.tools.cli.stack import build, down, restart, status, up
from otel_tutor.tools.cli.top import top

__all__ = ["main"]

_FAILED: Final = 1  # click itself exits with 2 for a command line it does not understand
_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells have it


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="otel-tutor")
def cli() -> None:
    """Run the observability stack of a tutoring service. Example: otel-tutor up"""


for command in (init, build, demo, up, down, restart, status, logs, metrics, trace, slo, top, drill, config, doctor):
    cli.add_command(command)


def main() -> None:
    """Run the command line; every failure that has a remedy is one line on standard error."""
    try:
        cli(standalone_mode=False, prog_name="otel-tutor")
    except OtelTutorError as error:
        _exit(str(error), _FAILED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        _exit("interrupted", _INTERRUPTED)


def _exit(line: str, code: int) -> None:
    click.echo(f"otel-tutor: {line}", err=True)
    sys.exit(code)
