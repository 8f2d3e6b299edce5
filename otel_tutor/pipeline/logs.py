"""stdlib logging into OpenTelemetry log records, each with the trace and span it was written in.

It is done in `logging.Logger.callHandlers`, which every record passes that its logger lets through. A handler would be lost
when logging is configured after it, and would change what `logging.basicConfig()` does, which acts on a root logger without
handlers only. A filter of the root logger does not see the records of other loggers, and a record factory does not know
yet what a filter of the logger drops, nor what `extra` adds.
"""

import functools
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from opentelemetry import context
from opentelemetry.context import Context
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs import LoggingHandler as SDKLoggingHandler

from otel_tutor.errors import is_failure
from otel_tutor.pipeline.line import Lines
from otel_tutor.pipeline.other_loggers import Depth, comes_from_loguru, export_other_loggers
from otel_tutor.recording.guard import attempt, log_internal_error
from otel_tutor.recording.operation import Attached
from otel_tutor.recording.reentry import apart
from otel_tutor.recording.values import to_text

__all__ = ["ExportHandler", "export_logs"]

# The logs of telemetry itself are not exported: an export that fails must not make more to export.
_SUBSTRATE: Final = ("opentelemetry", "grpc")
# Each request is a span, and a line of an access log has the client's address and the query string.
_ACCESS_LOGS: Final = ("uvicorn.access", "gunicorn.access", "hypercorn.access")

_EXPORTING: Final = (LoggingHandler, SDKLoggingHandler)

_ALWAYS_THERE: Final = frozenset(vars(logging.makeLogRecord({})))  # attributes of a record


def _is_the_apps(record: logging.LogRecord) -> bool:
    return _is_of_the_app(record.name)


@functools.lru_cache(maxsize=512)
def _is_of_the_app(name: str) -> bool:
    return name != "otel_tutor" and name.partition(".")[0] not in _SUBSTRATE and name not in _ACCESS_LOGS


class ExportHandler(LoggingHandler):
    """Makes log records of OpenTelemetry out of those of the app, from INFO up; ordinary ones by `lines`."""

    def __init__(self, provider: LoggerProvider, lines: Lines | None = None) -> None:
        super().__init__(logging.INFO, provider)
        self._lines: Final = lines
        self.addFilter(_is_the_apps)

    def handle(self, record: logging.LogRecord) -> bool:
        """Export it. An ordinary line takes no lock."""
        if self._lines is not None and _is_of_the_app(record.name):
            try:
                if self._lines.write(record):
                    return True
            except BaseException as error:  # arguments that do not fit, for example: `emit` does what can be done
                if not is_failure(error):
                    raise
        apart(functools.partial(self._handle, record, context.get_current()))
        return True

    def _handle(self, record: logging.LogRecord, within: Context) -> None:
        with Attached(within):
            super().handle(record)

    def emit(self, record: logging.LogRecord) -> None:
        """Write it, if need be without what makes that fail: arguments that do not fit, values without text."""
        try:
            message: object = record.msg
            if isinstance(message, Mapping) and "event" in message:
                super().emit(_from_structlog(record, message))
            else:
                super().emit(record)
        except BaseException as error:
            if not is_failure(error):
                raise
            attempt(super().emit, _changed(record, {"msg": to_text(record.msg), "args": None, "exc_info": None}))

    def flush(self) -> None:
        """Do nothing: logging flushes its handlers as Python exits, when the provider has sent everything already."""


def _changed(record: logging.LogRecord, values: dict[str, Any]) -> logging.LogRecord:
    """The record with these values, and without those that it was given beyond the usual."""
    usual = {name: value for name, value in vars(record).items() if name in _ALWAYS_THERE}
    return logging.makeLogRecord(usual | values)


def _from_structlog(record: logging.LogRecord, message: Mapping[Any, Any]) -> logging.LogRecord:
    """A record whose message is structlog's dictionary, as `ProcessorFormatter` needs it: its event and its values."""
    values = {str(key): value for key, value in message.items() if not str(key).startswith("_")}
    event, error = values.pop("event"), values.pop("exc_info", None)
    values = {key: value for key, value in values.items() if key not in _ALWAYS_THERE}
    if isinstance(error, BaseException):
        error = (type(error), error, error.__traceback__)
    info = sys.exc_info() if error is True else error or record.exc_info
    return _changed(record, values | {"msg": event, "args": None, "exc_info": info})


class _Loggers:
    """`logging.Logger` with two methods wrapped, for as long as `handler` is set."""

    def __init__(self, handler: ExportHandler) -> None:
        self.handler: ExportHandler | None = handler
        self._depth = Depth()  # of each thread in handlers of logging
        call_handlers, is_enabled_for = logging.Logger.callHandlers, logging.Logger.isEnabledFor

        def call_handlers_and_export(logger: logging.Logger, record: logging.LogRecord) -> None:
            self._depth.value += 1
            try:
                call_handlers(logger, record)
            finally:  # last: what the app's own handlers hide or add is hidden or added
                self._depth.value -= 1
                current = self.handler
                try:
                    if (
                        current is not None
                        and record.levelno >= current.level
                        and _is_handled(logger)
                        and not ("loguru" in sys.modules and comes_from_loguru())
                    ):
                        current.handle(record)
                except BaseException as error:  # of a record that was made by hand
                    log_internal_error(error)

        def is_enabled_or_exported(logger: logging.Logger, level: int) -> bool:
            return is_enabled_for(logger, level) or (
                self.handler is not None and level >= self.handler.level and _is_unconfigured(logger, level)
            )

        self._before = {"callHandlers": call_handlers, "isEnabledFor": is_enabled_for}
        self._wrappers = {"callHandlers": call_handlers_and_export, "isEnabledFor": is_enabled_or_exported}
        for name, wrapper in self._wrappers.items():
            setattr(logging.Logger, name, wrapper)

    def export(self, record: logging.LogRecord) -> None:
        """Export a record, from the handler's level up."""
        if self.handler is not None and record.levelno >= self.handler.level:
            self.handler.handle(record)

    def is_inside(self) -> bool:
        """Whether this thread is in a handler of logging."""
        return self._depth.value > 0

    def restore(self) -> None:
        """Have no effect any more; where another library has wrapped these methods too, the wrappers stay under its."""
        self.handler = None
        for name, wrapper in self._wrappers.items():
            if getattr(logging.Logger, name) is wrapper:
                setattr(logging.Logger, name, self._before[name])


def _ancestry(logger: logging.Logger) -> Iterator[logging.Logger]:
    """The loggers whose handlers are called for a record of this one."""
    current: logging.Logger | None = logger
    while current is not None:
        yield current
        current = current.parent if current.propagate else None


def _is_handled(logger: logging.Logger) -> bool:
    """Whether the app shows the records of `logger` to anyone, and does not export them itself.

    It does not where a NullHandler takes them and they do not reach the root logger.
    """
    is_shown = is_silenced = False
    current = logger
    while True:  # this is asked for each line
        for handler in current.handlers:
            if isinstance(handler, _EXPORTING):
                return False
            if isinstance(handler, logging.NullHandler):
                is_silenced = True
            else:
                is_shown = True
        if not current.propagate or current.parent is None:
            return is_shown or not is_silenced or current is logging.root
        current = current.parent


def _is_unconfigured(logger: logging.Logger, level: int) -> bool:
    """Whether it is Python's default alone, a root logger at WARNING, that does not let a record through."""
    loggers = list(_ancestry(logger))
    return (
        not logger.disabled
        and logger.manager.disable < level
        and loggers[-1] is logging.root
        and logging.root.level == logging.WARNING
        and not any(ancestor.level for ancestor in loggers[:-1])
        and all(isinstance(handler, logging.NullHandler) for ancestor in loggers for handler in ancestor.handlers)
    )


def export_logs(provider: LoggerProvider, lines: Lines) -> Callable[[], None]:
    """Send to `provider` what loggers let through, from INFO up, however and whenever logging is configured.

    What is printed stays as it is. While nothing is configured, INFO records are sent too, which Python alone would drop:
    it prints warnings then. Returns what undoes it.
    """
    loggers = _Loggers(ExportHandler(provider, lines))
    export_other_loggers(loggers.export, loggers.is_inside)
    return loggers.restore
