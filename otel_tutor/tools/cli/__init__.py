"""`otel-tutor`: the only code that prints or exits."""

import importlib
import sys
from collections.abc import Mapping
from typing import Final

import click

from otel_tutor import __version__
from otel_tutor.errors import OtelTutorError

__all__ = ["COMMANDS", "cli", "main"]

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {  # its module in this package, and what it does
    "init": ("init", "Write the stack's files into your project."),
    "build": ("stack", "Build the components that are missing, and start nothing."),
    "demo": ("demo", "Observe a real tutoring app under load, and report."),
    "up": ("stack", "Start the stack, and wait until it is ready."),
    "down": ("stack", "Stop the stack; its data stay."),
    "restart": ("stack", "Stop and start, with the same ports and overlays."),
    "status": ("stack", "Show what runs, and whether it answers."),
    "logs": ("signals", "Show the components' logs, or a trace's log lines."),
    "metrics": ("signals", "List metric families and their current values."),
    "trace": ("signals", "Show a trace as a tree of spans."),
    "slo": ("slo", "Show each objective and the rest of its budget."),
    "top": ("top", "Show the overview in this terminal, or in a browser."),
    "drill": ("drill", "Watch an alert fire and resolve, by a real fault."),
    "config": ("config", "Check the configuration, or print the Collector's."),
    "doctor": ("doctor", "Diagnose why telemetry is missing."),
}
_FAILED: Final = 1  # click itself exits with 2 for a command line it does not understand
_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells have it


class _Commands(click.Group):
    """Imports the module of a command when it is used: no command waits for the libraries of another."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in COMMANDS:
            return None
        module, summary = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(f"{__name__}.{module}"), cmd_name)
        command.short_help = summary
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="otel-tutor")
def cli() -> None:
    """Run the observability stack of a tutoring service. Example: otel-tutor up"""


def main() -> None:
    """Run the command line; every failure that has a remedy is one line on standard error."""
    try:
        cli(standalone_mode=False, prog_name="otel-tutor")
    except OtelTutorError as error:
        _exit(str(error), _FAILED)
    except click.exceptions.NoArgsIsHelpError as error:  # a command line without a command: its message is the help
        error.show()
        sys.exit(error.exit_code)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "otel-tutor"
        _exit(f"{error.format_message().rstrip('.')}; see `{command} --help`", error.exit_code)
    except click.ClickException as error:
        _exit(error.format_message(), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        _exit("interrupted", _INTERRUPTED)


def _exit(line: str, code: int) -> None:
    click.echo(f"otel-tutor: {line}", err=True)
    sys.exit(code)
