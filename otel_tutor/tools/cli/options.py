"""Options that several commands have."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from otel_tutor.errors import StackError
from otel_tutor.tools.stack.ports import DEFAULTS, parse_override
from otel_tutor.tools.stack.protocol import COMPOSE, NATIVE

__all__ = ["mode_option", "overlay_option", "port_option"]

F = TypeVar("F", bound=Callable[..., Any])


def port_option(command: F) -> F:
    """The option that moves a port; the command gets a mapping of names to numbers."""
    return click.option(
        "--port",
        "ports",
        multiple=True,
        metavar="NAME=NUMBER",
        callback=_parse_ports,
        help=f"Use another port; may be given several times. Names: {', '.join(DEFAULTS)}.",
    )(command)


def _parse_ports(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> Mapping[str, int]:
    try:
        return dict(parse_override(value) for value in values)
    except StackError as error:
        raise click.BadParameter(str(error), context, parameter) from None


def mode_option(command: F) -> F:
    """The options that choose between processes and containers."""
    native = click.option("--native", "mode", flag_value=NATIVE, help="Run the components as processes.")
    compose = click.option("--compose", "mode", flag_value=COMPOSE, help="Run them in containers, by compose.yaml.")
    return native(compose(command))


def overlay_option(command: F) -> F:
    """The option that merges files over the Collector's configuration."""
    return click.option(
        "--overlay",
        "overlays",
        multiple=True,
        metavar="NAME|PATH",
        help="Merge a file of collector/overlays, or your file, over the Collector's configuration.",
    )(command)
