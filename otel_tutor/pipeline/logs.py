"""stdlib logging into OpenTelemetry log records, each with the trace and span it was written in."""

import logging
from collections.abc import Callable
from typing import Final

from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider

__all__ = ["attach_logging"]

# The logs of telemetry itself are not exported: an export that fails must not make more to export.
_SUBSTRATE: Final = ("opentelemetry", "grpc")
# Servers keep their messages away from the root logger. Their access logs are left out: each request is a span, and their
# lines have the client's address and the query string.
_SERVERS: Final = ("uvicorn", "gunicorn.error")


def _is_the_apps(record: logging.LogRecord) -> bool:
    return record.name != "otel_tutor" and record.name.partition(".")[0] not in _SUBSTRATE


class _Handler(LoggingHandler):
    def flush(self) -> None:
        """Do nothing: logging flushes its handlers as Python exits, when the provider has sent everything already."""


def attach_logging(provider: LoggerProvider) -> Callable[[], None]:
    """Send what reaches the root logger or a server's, from INFO up, to `provider`; what is printed stays as it was.

    Returns what undoes it.
    """
    root = logging.getLogger()
    if not root.handlers and logging.lastResort is not None:
        # Python prints warnings of an unconfigured root itself, but only while it has no handler; it is about to get one.
        root.addHandler(logging.lastResort)
        if root.level == logging.WARNING:
            root.setLevel(logging.INFO)
    handler = _Handler(level=logging.INFO, logger_provider=provider)
    handler.addFilter(_is_the_apps)
    loggers = [root, *(logger for logger in map(logging.getLogger, _SERVERS) if not logger.propagate)]
    for logger in loggers:
        logger.addHandler(handler)

    def detach() -> None:
        for logger in loggers:
            logger.removeHandler(handler)

    return detach
