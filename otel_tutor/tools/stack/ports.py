"""Every port of the stack, its default, and how to choose another one."""

import os
import socket
from collections.abc import Iterable, Mapping
from typing import Final

import psutil

from otel_tutor.errors import PortTakenError, StackError
from otel_tutor.tools.stack.components import PORTS

__all__ = ["DEFAULTS", "Ports", "check_free", "choose", "page_url", "variable"]

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


def choose(overrides: Iterable[str] = (), environ: Mapping[str, str] = os.environ) -> dict[str, int]:
    """The ports to use: `NAME=NUMBER` overrides first, then the environment, then the defaults.

    Raises StackError for a name or number that does not exist.
    """
    given = {name: environ[variable(name)] for name in DEFAULTS if environ.get(variable(name))}
    for override in overrides:
        name, _, number = override.partition("=")
        if name not in DEFAULTS:
            raise StackError(f"--port {override!r}: there is no port {name!r}: choose one of {', '.join(DEFAULTS)}")
        given[name] = number
    chosen = dict(DEFAULTS)
    for name, number in given.items():
        if not number.isdecimal() or not 0 < int(number) <= _HIGHEST:
            raise StackError(f"port {name}={number!r} is not a port: use a number from 1 to {_HIGHEST}")
        chosen[name] = int(number)
    for port in set(chosen.values()):
        names = [name for name, one in chosen.items() if one == port]
        if len(names) > 1:
            raise StackError(f"port {port} is given to {' and '.join(names)}: give each its own with --port NAME=NUMBER")
    return chosen


def check_free(ports: Ports) -> None:
    """Raise PortTakenError for the first port somebody listens on, naming who it is and the way out."""
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
