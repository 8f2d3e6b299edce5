"""The running stack, as the tests of the stack have it."""

from tests.cli.conftest import command, environment, ports, run
from tests.stack.conftest import running

__all__ = ["command", "environment", "ports", "run", "running"]
