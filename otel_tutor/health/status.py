"""The result of a check, and the status that several results give together."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from typing import Any, Final

__all__ = ["CheckObservation", "HealthObservations", "HealthResult", "HealthStatus", "now", "overall", "plain"]

MOST_DETAILS: Final = 1000  # of one level; those of an object of the app may have no end
_DEEPEST: Final = 8  # levels of nested details; a structure that contains itself has no end
_LONGEST_INTEGER: Final = 64  # bits; Python writes none of more than 4300 digits, and readers of JSON stop far below


class HealthStatus(StrEnum):
    """How a service, or one thing it needs, is; each member equals its JSON value."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"

    @property
    def level(self) -> float:
        """The status as a number for a gauge: 1 healthy, 0.5 degraded, 0 unhealthy."""
        return _LEVELS[self]


_LEVELS: Final = {HealthStatus.HEALTHY: 1.0, HealthStatus.DEGRADED: 0.5, HealthStatus.UNHEALTHY: 0.0}


def now() -> str:
    """The time as ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthResult:
    """What one check found, once. `duration` is in seconds, `time` ISO 8601 in UTC, `error` an exception's class name."""

    status: HealthStatus
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)
    duration: float
    critical: bool
    time: str = field(default_factory=now)
    error: str | None = None

    def describe(self, *, detailed: bool) -> dict[str, Any]:
        """The result as JSON: status and critical for every client, all the rest when `detailed`."""
        brief = {"status": self.status, "critical": self.critical}
        if not detailed:
            return brief
        error = {} if self.error is None else {"error": self.error}
        return {
            **brief,
            "message": self.message,
            "details": dict(self.details),
            "duration_seconds": round(self.duration, 6),
            "time": self.time,
            **error,
        }


def overall(results: Iterable[HealthResult]) -> HealthStatus:
    """UNHEALTHY when a critical check is; otherwise DEGRADED when any check is less than healthy."""
    worst = HealthStatus.HEALTHY
    for result in results:
        if result.status is HealthStatus.UNHEALTHY and result.critical:
            return HealthStatus.UNHEALTHY
        if result.status is not HealthStatus.HEALTHY:
            worst = HealthStatus.DEGRADED
    return worst


def plain(value: object, *, _depth: int = 0) -> Any:
    """`value` as something JSON can hold. An exception becomes its class name: its text may quote a student."""
    if _depth == _DEEPEST:
        return "..."
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item, _depth=_depth + 1) for key, item in islice(value.items(), MOST_DETAILS)}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item, _depth=_depth + 1) for item in islice(value, MOST_DETAILS)]
    if value is None or isinstance(value, bool) or (isinstance(value, int) and value.bit_length() <= _LONGEST_INTEGER):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return type(value).__name__ if isinstance(value, (BaseException, int)) else str(value)


@dataclass(frozen=True, slots=True)
class CheckObservation:
    """One check as numbers: `status` 1, 0.5 or 0 as in `HealthStatus.level`, `duration` in seconds."""

    name: str
    status: float
    duration: float


@dataclass(frozen=True, slots=True)
class HealthObservations:
    """The last results as numbers; before the first run there are no checks and `status` is None."""

    checks: tuple[CheckObservation, ...]
    status: float | None
    uptime_seconds: float
