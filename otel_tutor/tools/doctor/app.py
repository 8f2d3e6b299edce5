"""What an imported app shows by itself: loggers whose lines reach no backend."""

import functools
import importlib
import logging
from typing import Any

__all__ = ["load", "unheard_loggers"]


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
