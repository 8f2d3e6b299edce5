"""Every port of the stack, its default, and how to choose another one."""

import os
import socket
from collections.abc import Mapping
from typing import Final

import psutil

from otel_tutor.errors import PortTakenError, StackError
from otel_tutor.tools.stack.components import PORTS

__all__ = ["DEFAULTS", "Ports", "check_free", "choose", "page_url", "parse_override", "variable"]

LOOPBACK: Final = "127.0.0.1"

Ports = Mapping[str, int]

DEFAULTS: Final[Ports] = {port.name: port.default for port in PORTS}

_HIGHEST: Final = 65535


def variable(name: str) -> str:
    """The environment variable that overrides a port; the configuration files read the same one."""
    return f"OTEL_TUTOR_{name.upper().replace('-', '_')}_PORT"


def page_url(page: tuple[str, str], ports: Ports) -> str:
    """The address on this machine of a page, given as the name of its port and its path."""
    name, path = page
    return f"http://{LOOPBACK}:{ports[name]}{path}"


def parse_override(override: str) -> tuple[str, int]:
    """The port and the number that `NAME=NUMBER` gives it. Raises StackError for a name or number that does not exist."""
    name, _, number = override.partition("=")
    if name not in DEFAULTS:
        raise StackError(f"there is no port {name!r}: choose one of {', '.join(DEFAULTS)}")
    return name, _number(name, number)


def choose(overrides: Mapping[str, int], environ: Mapping[str, str] = os.environ) -> dict[str, int]:
    """The ports to use: overrides first, then the environment, then the defaults.

    Raises StackError for a number in the environment that is no port, and for one port that is given twice.
    """
    set_there = {name: environ[variable(name)] for name in DEFAULTS if environ.get(variable(name))}
    chosen = {**DEFAULTS, **{name: _number(name, text) for name, text in set_there.items()}, **overrides}
    for number in set(chosen.values()):
        names = [name for name in chosen if chosen[name] == number]
        if len(names) > 1:
            raise StackError(f"port {number} is given to {' and '.join(names)}: give each another with --port NAME=NUMBER")
    return chosen


def _number(name: str, text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= _HIGHEST:
        raise StackError(f"port {name}={text!r} is not a port: use a number from 1 to {_HIGHEST}")
    return int(text)


def check_free(ports: Ports) -> None:
    """Raise PortTakenError for the first port that another process listens on, with its name and the way out."""
    for name, number in ports.items():
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, number))
            except PermissionError:
                raise StackError(f"port {number} ({name}) needs privileges: choose one above 1023 with --port") from None
            except OSError:
                raise PortTakenError(
                    f"port {number} ({name}) is taken by {_owner(number)}: "
                    f"stop it, or choose another with --port {name}=NUMBER"
                ) from None


def _owner(number: int) -> str:
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return "another process"
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == number:
            try:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
            except (psutil.Error, TypeError):
                break
    return "another process"
