"""The boundary between telemetry and the app: a measurement may be lost, a request may not."""

import functools
import logging
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

from otel_tutor.recording.state import state

__all__ = ["attempt", "harmless", "report"]

P = ParamSpec("P")
T = TypeVar("T")

_log: Final = logging.getLogger("otel_tutor")


def report(error: Exception) -> None:
    """Log what telemetry failed at, one line a minute at most."""
    state.internal_errors += 1
    if state.may_log_error():
        _log.warning("nothing was recorded: %s: %s", type(error).__name__, error)


def attempt(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """What `function` returns, or None when it fails; the failure is logged instead of raised."""
    try:
        return function(*args, **kwargs)
    except Exception as error:
        report(error)
        return None


def harmless(function: Callable[P, None]) -> Callable[P, None]:
    """Keep a recording call's failures from its caller; they are logged instead."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except Exception as error:
            report(error)

    return call
