"""The running stack, as the tests of the stack have it."""

from tests.stack.conftest import running

__all__ = ["running"]
