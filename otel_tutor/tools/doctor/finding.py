"""What the doctor reports of one hop, and the causes that it knows."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Cause", "Finding", "Symptom", "by_key"]


class Symptom(StrEnum):
    """What a user sees, in the order of the troubleshooting page."""

    NOTHING = "Nothing arrives"
    NO_METRICS = "Prometheus shows no metrics"
    NO_TRACES = "Jaeger shows no traces"
    NO_LOGS = "VictoriaLogs shows no lines"
    NO_NOTIFICATIONS = "No notification of an alert arrives"
    SLOW_END = "The app takes minutes to end"
    JUMPS = "Counters jump up and down"
    WRONG_BUCKET = "A duration is in the wrong bucket"
    WRONG_TIME = "Spans nest wrongly, and log lines and exemplars have other times"
    NO_DATA_SOURCE = "Grafana cannot reach Prometheus"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a user sees a symptom, and what to do. The key names it for programs."""

    key: str
    symptom: Symptom
    cause: str
    remedy: str


def by_key(*causes: Cause) -> Mapping[str, Cause]:
    """A table of causes. Raises ValueError for a key that occurs twice with different meanings."""
    table: dict[str, Cause] = {}
    for cause in causes:
        if table.setdefault(cause.key, cause) != cause:
            raise ValueError(f"two causes have the key {cause.key!r}")
    return table


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found at a hop. Without a `cause` all is well; `stops` says that nothing gets past it."""

    hop: str
    seconds: float = 0.0
    cause: Cause | None = None
    detail: str = ""
    stops: bool = True

    @property
    def line(self) -> str:
        """What is wrong and what to do about it; where all is well, the detail."""
        if self.cause is None:
            return self.detail
        return f"{self.cause.cause}{f' ({self.detail})' if self.detail else ''}: {self.cause.remedy}"

    def as_json(self) -> Mapping[str, object]:
        """The finding for programs."""
        return {
            "hop": self.hop,
            "seconds": self.seconds,
            "cause": self.cause.key if self.cause else "",
            "detail": self.detail,
            "stops": self.stops,
            "ok": self.cause is None,
            "line": self.line,
        }
