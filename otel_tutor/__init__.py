"""Observability of a Python tutoring service in one call: `otel_tutor.configure()`."""

from otel_tutor.errors import ConfigurationError, OtelTutorError, StackError
from otel_tutor.lifecycle import configure, shutdown

__all__ = ["ConfigurationError", "OtelTutorError", "StackError", "configure", "shutdown"]

__version__ = "0.1.0"
