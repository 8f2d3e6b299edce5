"""The running stack, as the tests of the stack have it."""

from tests.stack.conftest import free_ports, running

__all__ = ["free_ports", "running"]
