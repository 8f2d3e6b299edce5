"""What is worked around, and whether the work-around fits what is installed."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from otel_tutor.recording.state import state

__all__ = ["WorkAround", "is_usable", "replace"]

_log: Final = logging.getLogger("otel_tutor")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkAround:
    """One use of private parts.

    distribution: whose parts they are. reason: what it does without them, and as of which release.
    instead: the public way that replaces it. works: tries it; False or any exception switches the work-around off.
    """

    name: str
    distribution: str
    reason: str
    instead: str
    works: Callable[[], bool]


def is_usable(work_around: WorkAround) -> bool:
    """Whether the work-around does its work with what is installed. It is tried at the first call; a failure is logged."""
    name = work_around.name
    if name not in state.work_arounds:
        cause = "another result than expected"
        try:
            state.work_arounds[name] = work_around.works()
        except Exception as error:
            state.work_arounds[name], cause = False, f"{type(error).__name__}: {error}"
        if not state.work_arounds[name]:
            message = "work-around %r is switched off, it does not fit %s (%s): %s"
            _log.warning(message, name, _installed(work_around.distribution), cause, work_around.instead)
    return state.work_arounds[name]


def _installed(distribution: str) -> str:
    try:
        return f"{distribution} {version(distribution)}"
    except PackageNotFoundError:  # vendored, or in a frozen program
        return distribution


def replace(owner: Any, name: str, value: object) -> None:
    """Set an attribute that must exist: setting it after upstream renamed it would silently have no effect."""
    getattr(owner, name)
    setattr(owner, name, value)
