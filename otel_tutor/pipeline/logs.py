"""stdlib logging into OpenTelemetry log records, each with the trace and span it was written in."""

import logging
from collections.abc import Callable
from typing import Final

from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider

from otel_tutor.recording.guard import attempt

__all__ = ["ExportHandler", "attach_logging"]

# The logs of telemetry itself are not exported: an export that fails must not make more to export.
_SUBSTRATE: Final = ("opentelemetry", "grpc")
# Servers keep their messages away from the root logger. Their access logs are left out: each request is a span, and their
# lines have the client's address and the query string.
_SERVERS: Final = ("uvicorn", "gunicorn.error")
_USUAL: Final = frozenset(vars(logging.makeLogRecord({})))  # what every record has


def _is_the_apps(record: logging.LogRecord) -> bool:
    return record.name != "otel_tutor" and record.name.partition(".")[0] not in _SUBSTRATE


class ExportHandler(LoggingHandler):
    """Makes log records of OpenTelemetry out of those of the app, from INFO up."""

    def __init__(self, provider: LoggerProvider) -> None:
        super().__init__(logging.INFO, provider)
        self.addFilter(_is_the_apps)

    def emit(self, record: logging.LogRecord) -> None:
        """Write it, without what makes that fail: arguments that do not fit the message, values without text."""
        try:
            super().emit(record)
        except Exception:
            plain = {"msg": attempt(str, record.msg), "args": None, "exc_info": None}
            usual = {name: value for name, value in vars(record).items() if name in _USUAL}
            attempt(super().emit, logging.makeLogRecord(usual | plain))

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
    handler = ExportHandler(provider)
    loggers = [root, *(logger for logger in map(logging.getLogger, _SERVERS) if not logger.propagate)]
    for logger in loggers:
        logger.addHandler(handler)

    def detach() -> None:
        for logger in loggers:
            logger.removeHandler(handler)

    return detach
