"""What can go wrong, as one tree.

    OtelTutorError
    ├── ConfigurationError    configure() was given something it cannot use
    └── StackError            a component of the stack cannot be built, started or reached
        ├── PortTakenError    another process listens where a component should
        └── BuildError        a component could not be built from its pinned sources

Every message is one line that names the offending value and the remedy. None of these is ever raised by a recording or
tracing call.
"""

__all__ = ["BuildError", "ConfigurationError", "OtelTutorError", "PortTakenError", "StackError"]


class OtelTutorError(Exception):
    """Base of every error this package raises."""


class ConfigurationError(OtelTutorError, ValueError):
    """`configure()` was given something it cannot use, or cannot do what was asked in this process."""


class StackError(OtelTutorError):
    """A component of the stack cannot be started or reached."""


class PortTakenError(StackError):
    """Another process listens on a port that a component needs."""


class BuildError(StackError):
    """A component could not be built from its pinned sources."""
