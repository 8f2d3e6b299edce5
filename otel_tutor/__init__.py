"""Observability of a Python tutoring service in one call: `otel_tutor.configure()`."""

from otel_tutor.errors import ConfigurationError, OtelTutorError, StackError
from otel_tutor.lifecycle import configure, flush, shutdown

__all__ = ["ConfigurationError", "OtelTutorError", "StackError", "configure", "flush", "shutdown"]

__version__ = "0.1.0"
