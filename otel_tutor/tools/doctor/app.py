"""What an imported app shows by itself: loggers whose lines reach no backend, and a second instrumentation."""

import functools
import importlib
import logging
from collections.abc import Iterator
from typing import Any

__all__ = ["instrumented_twice", "load", "unheard_loggers"]

# Of telemetry itself, which is kept out of telemetry, and access logs: each request is a span.
_IGNORED = ("opentelemetry", "grpc", "otel_tutor", "uvicorn.access", "gunicorn.access")


def load(name: str) -> Any:
    """The object that MODULE:NAME names, as uvicorn names an app. Raises what its import raises, or ImportError."""
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise ImportError(f"{name!r} is not MODULE:NAME")
    try:
        return functools.reduce(getattr, attribute.split("."), importlib.import_module(module))
    except AttributeError as error:
        raise ImportError(f"{name!r}: {error}") from None


def unheard_loggers() -> list[str]:
    """The loggers whose lines reach only their own handlers, and none of OpenTelemetry's."""
    known = logging.root.manager.loggerDict.items()
    loggers = {name: logger for name, logger in known if isinstance(logger, logging.Logger)}
    return sorted(name for name, logger in loggers.items() if _is_unheard(logger) and not _is_ignored(name))


def _is_unheard(logger: logging.Logger) -> bool:
    if logger.propagate or logger.disabled or any(map(_is_opentelemetrys, logger.handlers)):
        return False
    silenced = logger.handlers and all(isinstance(handler, logging.NullHandler) for handler in logger.handlers)
    return not silenced and bool(logger.handlers or logger.level)


def _is_opentelemetrys(handler: logging.Handler) -> bool:
    # There are two classes of this name, in the SDK and in the instrumentation.
    return any(base.__name__ == "LoggingHandler" for base in type(handler).__mro__)


def _is_ignored(name: str) -> bool:
    return any(name == ignored or name.startswith(f"{ignored}.") for ignored in _IGNORED)


def instrumented_twice(app: Any) -> bool:
    """Whether OpenTelemetry's own middleware is around or in an app that `configure()` was given."""
    ours, theirs = False, bool(getattr(app, "_is_instrumented_by_opentelemetry", False))
    for part in _parts(app):
        ours = ours or (part.__name__ == "TelemetryMiddleware" and part.__module__.startswith("otel_tutor."))
        theirs = theirs or part.__module__.startswith("opentelemetry.instrumentation.")
    return ours and theirs


def _parts(app: Any) -> Iterator[type]:
    """The classes of the middleware wrapped around an app, outermost first, and of those added to it."""
    while not hasattr(app, "user_middleware") and hasattr(app, "app"):
        yield type(app)
        app = app.app
    for middleware in getattr(app, "user_middleware", ()):
        if isinstance(middleware.cls, type):
            yield middleware.cls
