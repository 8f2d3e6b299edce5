"""Instrumentations of OpenTelemetry that are installed in the environment start by themselves, as with its own command.

They are found by the entry points `opentelemetry_instrumentor`. Those whose work this package does are left out. Those for
vector stores and for requests to models are parts of this package; they are named and started like the others.
"""

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import Distribution, EntryPoint, entry_points
from itertools import islice
from typing import Any, Final

from opentelemetry.instrumentation.environment_variables import OTEL_PYTHON_DISABLED_INSTRUMENTATIONS

from otel_tutor.errors import ConfigurationError, refusing

__all__ = ["choose", "start_all"]

_log: Final = logging.getLogger("otel_tutor")

_GROUP: Final = "opentelemetry_instrumentor"
_OURS: Final = {"fastapi", "logging", "sqlalchemy", "starlette", "system_metrics", "threading"}
_PARTS: Final = (
    EntryPoint("model_requests", "otel_tutor.instrumentation.model_requests:ModelRequests", _GROUP),
    EntryPoint("vector_stores", "otel_tutor.instrumentation.vector_stores:VectorStores", _GROUP),
)
_MOST: Final = 1000  # names
_ALL: Final = "*"  # the variable's word


def choose(instrument: bool | Iterable[str], environ: Mapping[str, str] = os.environ) -> list[EntryPoint]:
    """The installed instrumentations to start: all, none, or those that are named; without those that a variable disables.

    Raises ConfigurationError for a name that is not installed.
    """
    installed = {entry.name: entry for entry in [*entry_points(group=_GROUP), *_PARTS] if entry.name not in _OURS}
    names = _names(instrument, sorted(installed))
    disabled = {name.strip() for name in environ.get(OTEL_PYTHON_DISABLED_INSTRUMENTATIONS, "").split(",")}
    return [] if _ALL in disabled else [installed[name] for name in names if name not in disabled]


@refusing("instrument")
def _names(instrument: bool | Iterable[str], installed: Sequence[str]) -> Sequence[str]:
    if isinstance(instrument, bool):
        return installed if instrument else ()
    names = [] if isinstance(instrument, str) or not isinstance(instrument, Iterable) else list(islice(instrument, _MOST))
    if not names or not all(isinstance(name, str) for name in names):
        raise ConfigurationError(f'instrument={instrument!r} is not usable: pass True, False, or e.g. ["httpx", "redis"]')
    for name in names:
        if name not in {*installed, *_OURS}:
            present = ", ".join(installed) or "none"
            raise ConfigurationError(
                f"instrument={instrument!r}: {name!r} is not installed: "
                f"install opentelemetry-instrumentation-{name}, or use what is there: {present}"
            )
    return [name for name in installed if name in names]


def start_all(entries: Iterable[EntryPoint], **providers: Any) -> None:
    """Start them, with these providers. One that fails is one line of log, and the others start."""
    started = [entry.name for entry in entries if _start(entry, providers) and entry not in _PARTS]
    if started:
        _log.info("instrumentations that were started: %s", ", ".join(started))


def _start(entry: EntryPoint, providers: Mapping[str, Any]) -> bool:
    try:
        if entry.dist is not None and (conflict := _conflict(entry.dist)):
            if conflict.found:  # what is not installed at all needs no instrumentation
                _log.warning("instrumentation %s was not started: %s", entry.name, conflict)
            return False
        instrumentor = entry.load()()
        if instrumentor.is_instrumented_by_opentelemetry:  # by the user, or by the command opentelemetry-instrument
            return False
        instrumentor.instrument(skip_dep_check=True, **providers)
    except Exception as error:
        _log.warning("instrumentation %s was not started: %s: %s", entry.name, type(error).__name__, error)
        return False
    return True


def _conflict(distribution: Distribution) -> Any:
    # It takes 13 ms to import, for what most environments do not have.
    from opentelemetry.instrumentation.dependencies import get_dist_dependency_conflicts

    return get_dist_dependency_conflicts(distribution)
