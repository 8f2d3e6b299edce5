"""Observability of a Python tutoring service in one call: `otel_tutor.configure()`."""

from typing import TYPE_CHECKING, Any

from otel_tutor.errors import ConfigurationError, OtelTutorError, StackError

if TYPE_CHECKING:
    from otel_tutor.lifecycle import configure, flush, shutdown

__all__ = ["ConfigurationError", "OtelTutorError", "StackError", "configure", "flush", "shutdown"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import what `configure()` needs when it is asked for: a command line that only imports this package starts at once."""
    if name not in {"configure", "flush", "shutdown"}:
        raise AttributeError(f"module 'otel_tutor' has no attribute {name!r}")
    from otel_tutor import lifecycle

    found = globals()[name] = getattr(lifecycle, name)
    return found
