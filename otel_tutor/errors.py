"""What can go wrong, as one tree.

    OtelTutorError
    ├── ConfigurationError    configure() was given something it cannot use
    └── StackError            a component of the stack cannot be built, started or reached
        ├── PortTakenError    another process listens where a component should
        └── BuildError        a component could not be built from its pinned sources

Every message is one line that names the offending value and the remedy. None of these is ever raised by a recording or
tracing call.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["BuildError", "ConfigurationError", "OtelTutorError", "PortTakenError", "StackError", "is_failure", "refusing"]


_PANIC: Final = "PanicException"  # what Python gets where an extension in Rust fails: its class is no Exception


class OtelTutorError(Exception):
    """Base of every error this package raises."""


class ConfigurationError(OtelTutorError, ValueError):
    """`configure()` was given something it cannot use, or cannot do what was asked in this process."""


@contextmanager
def refusing(option: str) -> Iterator[None]:
    """Where reading the value of `option` fails with any other exception, raise ConfigurationError; also a decorator."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, OtelTutorError) or not is_failure(error):
            raise
        raise ConfigurationError(f"{option} cannot be used: reading it failed with {type(error).__name__}") from error


def is_failure(error: BaseException) -> bool:
    """Whether it says that something failed. The others end a task, a thread or the process, and must get there."""
    return isinstance(error, Exception) or type(error).__name__ == _PANIC


class StackError(OtelTutorError):
    """A component of the stack cannot be started or reached."""


class PortTakenError(StackError):
    """Another process listens on a port that a component needs."""


class BuildError(StackError):
    """A component could not be built from its pinned sources."""
