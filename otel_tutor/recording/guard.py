"""The boundary between telemetry and the app: a measurement may be lost, a request may not."""

import functools
import logging
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

from otel_tutor.errors import is_failure
from otel_tutor.recording.state import state
from otel_tutor.recording.values import to_text

__all__ = ["EXPORT_FAILING", "attempt", "log_internal_error", "never_raise"]

P = ParamSpec("P")
T = TypeVar("T")

# What a line of log begins with while telemetry cannot be exported; `otel-tutor doctor` looks for it.
EXPORT_FAILING: Final = "telemetry export failing (logged at most once a minute)"

_log: Final = logging.getLogger("otel_tutor")


def log_internal_error(error: BaseException) -> None:
    """Log a failure of telemetry itself, at most one line a minute. Raises what is no failure, and nothing else."""
    if not is_failure(error):
        raise error
    state.internal_errors += 1
    try:
        if state.may_log_error():
            _log.warning(
                "something was not recorded (logged at most once a minute): %s: %s", type(error).__name__, to_text(error)
            )
    except Exception:  # of a handler of the app's, or the stack is full
        pass


def attempt(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """What `function` returns, or None when it fails; the failure is logged instead of raised."""
    try:
        return function(*args, **kwargs)
    except BaseException as error:
        log_internal_error(error)
        return None


def never_raise(function: Callable[P, None]) -> Callable[P, None]:
    """Keep the failures of a recording call away from its caller; they are logged instead."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except BaseException as error:
            log_internal_error(error)

    return call
