"""What the tutor's health depends on, registered when it starts to serve."""

from sqlalchemy import Engine

from otel_tutor.demo.settings import Settings
from otel_tutor.demo.tutor import Tutor
from otel_tutor.health import DatabaseCheck, DiskCheck, MemoryCheck, ModelCheck, VectorStoreCheck, health_service

__all__ = ["register_checks"]


def register_checks(settings: Settings, engine: Engine, tutor: Tutor) -> None:
    """Have this tutor checked; what an earlier one in this process registered is replaced."""
    for check in (
        DatabaseCheck(engine),
        VectorStoreCheck(settings.database),  # the vectors are kept in the tutor's own database
        ModelCheck(lambda: tutor.model_bytes > 0),
        DiskCheck(path=settings.data),
        MemoryCheck(),
    ):
        health_service.unregister(check.name)
        health_service.register(check)
