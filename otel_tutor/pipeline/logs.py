"""stdlib logging into OpenTelemetry log records, each with the trace and span it was written in."""

import logging
from typing import Final

from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider

__all__ = ["attach_logging"]

# What telemetry says of itself stays out of telemetry: an export that fails must not make more to export.
_SUBSTRATE: Final = ("opentelemetry", "grpc")


def _is_the_apps(record: logging.LogRecord) -> bool:
    return record.name != "otel_tutor" and record.name.partition(".")[0] not in _SUBSTRATE


class _Handler(LoggingHandler):
    def flush(self) -> None:
        """Do nothing: logging flushes its handlers as Python exits, when the provider has sent everything already."""


def attach_logging(provider: LoggerProvider) -> logging.Handler:
    """Send what reaches the root logger, from INFO up, to `provider`; what is printed stays as it was."""
    root = logging.getLogger()
    if not root.handlers and logging.lastResort is not None:
        # Python prints warnings of an unconfigured root itself, but only while it has no handler; it is about to get one.
        root.addHandler(logging.lastResort)
        if root.level == logging.WARNING:
            root.setLevel(logging.INFO)
    handler = _Handler(level=logging.INFO, logger_provider=provider)
    handler.addFilter(_is_the_apps)
    root.addHandler(handler)
    return handler
