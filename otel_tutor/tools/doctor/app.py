"""What an imported app shows by itself: loggers whose lines reach no backend, and a second instrumentation."""

import functools
import importlib
import logging
from collections.abc import Iterator
from typing import Any

from otel_tutor.instrumentation.application import is_observed
from otel_tutor.instrumentation.asgi import TelemetryMiddleware

__all__ = ["instrumented_twice", "load", "unheard_loggers"]


def load(name: str) -> Any:
    """The object that MODULE:NAME names, as uvicorn names an app. Raises what its import raises, or ImportError."""
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise ImportError(f"{name!r} is not MODULE:NAME")
    try:
        return functools.reduce(getattr, attribute.split("."), importlib.import_module(module))
    except AttributeError as error:
        raise ImportError(f"{name!r}: {error}") from None


def unheard_loggers(app: str) -> list[str]:
    """The loggers of the package of MODULE:NAME that are disabled.

    `logging.config` disables those that exist when it is called. A library's may well be meant to be.
    """
    package = app.partition(":")[0].partition(".")[0]
    loggers = logging.root.manager.loggerDict.items()
    disabled = (name for name, logger in loggers if isinstance(logger, logging.Logger) and logger.disabled)
    return sorted(name for name in disabled if name.partition(".")[0] == package)


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
    if is_observed(app):
        yield TelemetryMiddleware
    for middleware in getattr(app, "user_middleware", ()):
        if isinstance(middleware.cls, type):
            yield middleware.cls
