"""loguru and structlog where they write past logging: their lines are exported too, each once.

A line that one of them passes to logging, or gets from it, is exported by the side that it began on.
"""

import functools
import inspect
import logging
import re
import threading
from collections.abc import Callable
from typing import Any, Final

from wrapt import register_post_import_hook

from otel_tutor.recording.guard import attempt

__all__ = ["Depth", "comes_from_loguru", "export_other_loggers"]

Handle = Callable[[logging.LogRecord], object]

_IN_LOGURU: Final = "loguru._handler"  # the module whose code is running while a line is written
_FRAMES: Final = 30  # between that code and logging, in an app's own sink
_COLOR: Final = re.compile(r"\x1b\[[0-9;]*m")
_LEVELS: Final = {  # of the methods of structlog's own loggers
    "msg": logging.INFO,
    "log": logging.INFO,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "err": logging.ERROR,
    "error": logging.ERROR,
    "exception": logging.ERROR,
    "failure": logging.ERROR,
    "fatal": logging.CRITICAL,
    "critical": logging.CRITICAL,
}
_USUAL: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def export_other_loggers(handle: Handle, inside_logging: Callable[[], bool]) -> None:
    """Have `handle` called with each of their lines, as soon as they are imported; not with those that logging handles."""
    register_post_import_hook(functools.partial(_export_loguru, handle, inside_logging), "loguru")
    register_post_import_hook(functools.partial(_export_structlog, handle), "structlog")


def comes_from_loguru() -> bool:
    """Whether loguru is writing a line, in code further up."""
    frame = inspect.currentframe()
    for _ in range(_FRAMES):
        if frame is None:
            return False
        if frame.f_globals.get("__name__") == _IN_LOGURU:
            return True
        frame = frame.f_back
    return False


def _export_loguru(handle: Handle, inside_logging: Callable[[], bool], loguru: Any) -> None:
    kind = type(loguru.logger)
    remove = kind.remove

    def export(message: Any) -> None:
        if not inside_logging():
            attempt(handle, _from_loguru(message.record))

    def add() -> None:
        loguru.logger.add(export, level=logging.INFO, format="{message}")

    @functools.wraps(remove)
    def remove_and_add(self: Any, handler_id: int | None = None) -> None:
        remove(self, handler_id)
        if handler_id is None:  # an app that sets loguru up begins by removing every sink
            attempt(add)

    kind.remove = remove_and_add
    attempt(add)


def _from_loguru(line: Any) -> logging.LogRecord:
    values = {str(key): value for key, value in line["extra"].items() if key not in _USUAL}
    return logging.makeLogRecord(
        values
        | {
            "name": line["name"] or "loguru",
            "levelno": line["level"].no,
            "levelname": line["level"].name,
            "pathname": line["file"].path,
            "lineno": line["line"],
            "funcName": line["function"],
            "msg": line["message"],
            "exc_info": line["exception"] and tuple(line["exception"]),
            "created": line["time"].timestamp(),
        }
    )


def _export_structlog(handle: Handle, structlog: Any) -> None:
    for kind in (structlog.PrintLogger, structlog.WriteLogger, structlog.BytesLogger):
        for name, level in _LEVELS.items():
            if (method := getattr(kind, name, None)) is not None:
                setattr(kind, name, _exporting(method, level, handle))


def _exporting(method: Callable[[Any, Any], Any], level: int, handle: Handle) -> Callable[[Any, Any], Any]:
    @functools.wraps(method)
    def write_and_export(self: Any, message: Any) -> Any:
        result = method(self, message)
        attempt(_export_line, message, level, handle)
        return result

    return write_and_export


def _export_line(message: Any, level: int, handle: Handle) -> None:
    text = message.decode("utf-8", "replace") if isinstance(message, bytes) else str(message)
    values = {"name": "structlog", "levelno": level, "levelname": logging.getLevelName(level), "msg": _COLOR.sub("", text)}
    handle(logging.makeLogRecord(values))


class Depth(threading.local):
    """How many calls deep a thread is in something."""

    value = 0
