"""The last results of the health checks as metrics, so that alerts and probes agree."""

from collections.abc import Iterable

from otel_tutor import catalogue
from otel_tutor.health.service import HealthService
from otel_tutor.recording.instruments import Labels, limit_cardinality, observe

__all__ = ["observe_health"]


def observe_health(service: HealthService) -> None:
    """Have the service's last results read at every export; no check is run for it. `configure()` calls this once."""

    def statuses() -> Iterable[tuple[float, Labels]]:
        return [(check.status, _labels(check.name)) for check in service.observations().checks]

    def durations() -> Iterable[tuple[float, Labels]]:
        return [(check.duration, _labels(check.name)) for check in service.observations().checks]

    def health() -> Iterable[tuple[float, Labels]]:
        status = service.observations().status
        return [] if status is None else [(status, {})]

    observe(catalogue.CHECK_STATUS, statuses)
    observe(catalogue.CHECK_DURATION, durations)
    observe(catalogue.HEALTH, health)
    observe(catalogue.UPTIME, lambda: [(service.observations().uptime_seconds, {})])


def _labels(name: str) -> Labels:
    return {catalogue.CHECK.key: limit_cardinality(catalogue.CHECK, name)}
