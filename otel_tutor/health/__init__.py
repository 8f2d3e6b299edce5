"""Whether a tutoring service can answer: checks, the service that runs them, and the routes that show the results."""

from otel_tutor.health.check import HealthCheck, SyncHealthCheck
from otel_tutor.health.dependencies import DatabaseCheck, ModelCheck, VectorStoreCheck
from otel_tutor.health.drain import drain_on_sigterm
from otel_tutor.health.resources import DiskCheck, MemoryCheck
from otel_tutor.health.routes import health_routes
from otel_tutor.health.service import HealthService, health_service
from otel_tutor.health.status import CheckObservation, HealthObservations, HealthResult, HealthStatus

__all__ = [
    "CheckObservation",
    "DatabaseCheck",
    "DiskCheck",
    "HealthCheck",
    "HealthObservations",
    "HealthResult",
    "HealthService",
    "HealthStatus",
    "MemoryCheck",
    "ModelCheck",
    "SyncHealthCheck",
    "VectorStoreCheck",
    "drain_on_sigterm",
    "health_routes",
    "health_service",
]
