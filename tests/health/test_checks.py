"""Each built-in check, failed by a real cause."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool

from otel_tutor.errors import ConfigurationError
from otel_tutor.health import (
    DatabaseCheck,
    DiskCheck,
    HealthCheck,
    HealthService,
    HealthStatus,
    MemoryCheck,
    ModelCheck,
    SyncHealthCheck,
    VectorStoreCheck,
)


def look(check: HealthCheck) -> dict[str, Any]:
    """The detailed result of one check, and the status of a service that has only this one."""
    service = HealthService()
    service.register(check)
    body = asyncio.run(service.check_health(detailed=True))
    return {**body["checks"][check.name], "overall": body["status"]}


def test_a_database_that_answers_tells_of_its_pool(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'tutor.db'}", pool_size=3)
    with engine.connect():
        result = look(DatabaseCheck(engine))
    engine.dispose()

    assert result["status"] is HealthStatus.HEALTHY
    assert result["details"] == {"pool_size": 3, "active_connections": 1}


def test_a_database_file_that_is_not_there_makes_the_service_unhealthy(tmp_path: Path) -> None:
    result = look(DatabaseCheck(create_engine(f"sqlite:///{tmp_path / 'missing' / 'tutor.db'}")))

    assert result["overall"] is HealthStatus.UNHEALTHY
    assert result["error"] == "OperationalError"
    assert "unable to open" not in str(result)


def test_a_pool_that_does_not_count_is_no_failure() -> None:
    result = look(DatabaseCheck(create_engine("sqlite://", poolclass=NullPool)))

    assert result["status"] is HealthStatus.HEALTHY
    assert result["details"] == {"pool_size": None, "active_connections": None}


def test_an_exhausted_pool_fails_at_the_deadline(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'tutor.db'}", pool_size=1, max_overflow=0, pool_timeout=0.3)
    with engine.connect():
        result = look(DatabaseCheck(engine, timeout=0.1))
        for thread in threading.enumerate():
            if thread.name == "health-database":
                thread.join()
    engine.dispose()

    assert (result["status"], result["error"]) == (HealthStatus.UNHEALTHY, "TimeoutError")
    assert result["message"] == "took longer than 0.1 s"


class AsyncEngine:
    """What DatabaseCheck needs of an async engine, over a sync one: no async driver is installed."""

    def __init__(self, engine: Engine) -> None:
        self.sync_engine = engine

    @asynccontextmanager
    async def connect(self) -> AsyncIterator["AsyncEngine"]:
        with self.sync_engine.connect() as self.connection:
            yield self

    async def exec_driver_sql(self, statement: str) -> None:
        self.connection.exec_driver_sql(statement)


def test_an_async_engine_is_asked_in_the_event_loop(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'tutor.db'}", pool_size=3)
    result = look(DatabaseCheck(AsyncEngine(engine)))
    engine.dispose()

    assert (result["status"], result["details"]["pool_size"]) == (HealthStatus.HEALTHY, 3)


def test_a_check_that_would_end_the_process_fails_instead() -> None:
    class Exiting(SyncHealthCheck):
        def check_sync(self) -> dict[str, Any]:
            raise SystemExit(3)

    assert look(Exiting("exiting"))["status"] is HealthStatus.UNHEALTHY


def test_a_plain_function_that_returns_an_awaitable_is_no_yes() -> None:
    async def forever() -> bool:
        return True

    def loaded() -> object:
        coroutine = forever()
        coroutine.close()
        return coroutine

    assert look(ModelCheck(loaded))["error"] == "TypeError"


def test_a_vector_store_whose_path_is_missing_only_degrades_the_service(tmp_path: Path) -> None:
    result = look(VectorStoreCheck(tmp_path / "missing"))

    assert (result["status"], result["overall"]) == (HealthStatus.UNHEALTHY, HealthStatus.DEGRADED)
    assert result["details"] == {"path": str(tmp_path / "missing"), "path_valid": False}


def test_a_vector_store_is_asked_whether_it_is_available(tmp_path: Path) -> None:
    good = look(VectorStoreCheck(tmp_path, available=lambda: True))
    bad = look(VectorStoreCheck(available=lambda: False))

    assert good["details"] == {"path": str(tmp_path), "path_valid": True, "available": True}
    assert (bad["status"], bad["details"]) == (HealthStatus.UNHEALTHY, {"available": False})


def test_a_model_that_is_not_loaded_degrades_the_service() -> None:
    models: list[object] = []
    check = ModelCheck(lambda: models)
    before = look(check)
    models.append("weights")

    assert (before["overall"], before["message"]) == (HealthStatus.DEGRADED, "not loaded")
    assert look(check)["status"] is HealthStatus.HEALTHY


def test_a_model_with_an_invalid_configuration_is_unhealthy() -> None:
    result = look(ModelCheck(lambda: True, configuration=lambda: False, critical=True))

    assert result["overall"] is HealthStatus.UNHEALTHY
    assert result["details"] == {"loaded": True, "configuration_valid": False}


@pytest.mark.parametrize(
    ("warning", "critical", "status"),
    [(85, 95, HealthStatus.HEALTHY), (0, 95, HealthStatus.DEGRADED), (0, 0, HealthStatus.UNHEALTHY)],
)
def test_a_disk_is_judged_by_its_thresholds(warning: float, critical: float, status: HealthStatus) -> None:
    result = look(DiskCheck(path="/dev/shm", warning_percent=warning, critical_percent=critical))

    assert (result["status"], result["overall"]) == (status, status)
    assert result["details"]["path"] == "/dev/shm"


def test_a_disk_that_is_not_there_is_unhealthy(tmp_path: Path) -> None:
    assert look(DiskCheck(path=tmp_path / "missing"))["error"] == "FileNotFoundError"


@pytest.mark.parametrize(
    ("warning", "critical", "status"),
    [(1e15, 100, HealthStatus.HEALTHY), (1, 100, HealthStatus.DEGRADED), (1, 0, HealthStatus.UNHEALTHY)],
)
def test_memory_is_judged_by_its_thresholds(warning: float, critical: float, status: HealthStatus) -> None:
    result = look(MemoryCheck(warning_bytes=warning, critical_percent=critical))

    assert (result["status"], result["overall"]) == (status, status)


def test_memory_in_a_container_is_measured_against_its_limit(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("990000\n")
    (tmp_path / "memory.stat").write_text("anon 9\ninactive_file 20000\n")

    result = look(MemoryCheck(cgroup=tmp_path))

    assert result["status"] is HealthStatus.UNHEALTHY
    assert result["details"] == {"used_bytes": 970_000, "total_bytes": 1_000_000, "used_percent": 97.0}


def test_memory_in_a_container_without_a_limit_is_the_machines(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")

    assert look(MemoryCheck(cgroup=tmp_path))["details"]["total_bytes"] > 1_000_000


async def is_there() -> bool:
    return True


class Blocking(HealthCheck):
    def check(self) -> Any:
        return {"status": HealthStatus.HEALTHY}


class Custom(SyncHealthCheck):
    def check_sync(self) -> dict[str, Any]:
        return {"status": HealthStatus.HEALTHY}


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Custom("two words"), "name='two words'"),
        (lambda: Custom(""), "name=''"),
        (lambda: Custom("ok", timeout=0), "timeout=0"),
        (lambda: Blocking("blocking"), "SyncHealthCheck"),
        (lambda: DatabaseCheck("sqlite://"), "'sqlite://' is not a SQLAlchemy engine"),
        (VectorStoreCheck, "path and available"),
        (lambda: ModelCheck(is_there), "not a plain function"),
        (lambda: DiskCheck(warning_percent=96), "warning_percent=96"),
        (lambda: DiskCheck(critical_percent=101), "critical_percent=101"),
        (lambda: MemoryCheck(warning_bytes=float("nan")), "warning_bytes=nan"),
    ],
)
def test_what_cannot_be_checked_is_refused_in_one_line(make: Callable[[], object], told: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        make()

    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
