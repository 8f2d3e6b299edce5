"""What the SDK and gRPC log, at a rate that people can read: a Collector that is down must not flood an app's log."""

import logging
from typing import Final

from otel_tutor.recording.guard import EXPORT_FAILING
from otel_tutor.recording.rate_limit import RateLimit
from otel_tutor.recording.state import state

__all__ = ["throttle_sdk_logs"]

# Loggers that say that something was not sent. Where a release renames one, its messages keep their own words.
_OF_EXPORT: Final = (
    "grpc",
    "opentelemetry.exporter",
    "opentelemetry.sdk._shared_internal",  # queues and batches
    "opentelemetry.sdk.metrics._internal.export",
)
# "Failed to detach context", with a traceback: a generator ended in another context than it began in, as FastAPI's do that
# depend on a thread pool. The context that was attached is gone by then, so nothing is wrong.
_HARMLESS: Final = "opentelemetry.context"
_MOST_MESSAGES: Final = 100  # different ones that are told apart


class _Throttle(logging.Handler):
    """Shows one line a minute about export, as this package's, and of other messages each once a minute as it is."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._log: Final = logging.getLogger("otel_tutor")

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith(_OF_EXPORT):
            if state.may_log_export():
                self._log.warning("%s: %s", EXPORT_FAILING, " ".join(record.getMessage().split()))
        elif record.name != _HARMLESS and _may_log(record):
            root = logging.getLogger()  # the handlers that the app has are there
            if root.isEnabledFor(record.levelno):
                root.handle(record)


def _may_log(record: logging.LogRecord) -> bool:
    if len(state.may_log_message) >= _MOST_MESSAGES:
        state.may_log_message.clear()
    return state.may_log_message.setdefault((record.name, str(record.msg)), RateLimit())()


def throttle_sdk_logs() -> None:
    """Limit the logs of the SDK and of gRPC; nothing below a warning is shown."""
    for name in ("opentelemetry", "grpc"):
        logger = logging.getLogger(name)
        if not any(isinstance(handler, _Throttle) for handler in logger.handlers):
            logger.addHandler(_Throttle())
            logger.propagate = False
