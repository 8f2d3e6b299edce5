"""Ports that no other test uses."""

import itertools
import os
import socket
from collections.abc import Iterator
from typing import Final

from otel_tutor.tools.stack.ports import DEFAULTS

__all__ = ["unused_ports"]


def unused_ports() -> dict[str, int]:
    """For every name, a port that no process listens on."""
    return {name: next(_ports) for name in DEFAULTS}


_RANGE: Final = 2900  # ports of a worker; the kernel's for clients begin at 32768


def _free_ports() -> Iterator[int]:
    """Each once, below those that the kernel gives to clients, and apart from those of tests that run at the same time."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 15000 + _RANGE * (worker % 6)
    start = os.getpid() * 101 % _RANGE  # two runs of the tests on one machine rarely ask for the same
    for number in (first + (start + step) % _RANGE for step in itertools.count()):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", number))
            except OSError:
                continue
        yield number


_ports = _free_ports()
