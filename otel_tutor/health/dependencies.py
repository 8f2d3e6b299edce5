"""Checks of what a tutoring service answers with: its database, its vector store and its model."""

import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from otel_tutor.errors import ConfigurationError, refusing
from otel_tutor.health.check import DEFAULT_TIMEOUT, SyncHealthCheck, finding, plain_function
from otel_tutor.health.status import HealthStatus
from otel_tutor.instrumentation.database import sync_engines

__all__ = ["DatabaseCheck", "ModelCheck", "VectorStoreCheck"]


class DatabaseCheck(SyncHealthCheck):
    """Whether a SQLAlchemy engine, sync or async, still answers `SELECT 1`.

    Details: `pool_size` and `active_connections`, those in use by others; None for a pool that does not count. Critical by
    default: without its database a tutor has no answer at all. Raises ConfigurationError for what is no engine.
    """

    def __init__(
        self, engine: Any, *, name: str = "database", critical: bool = True, timeout: float = DEFAULT_TIMEOUT
    ) -> None:
        super().__init__(name, critical=critical, timeout=timeout)
        (self._sync_engine,) = sync_engines([engine])
        self._async_engine = engine if engine is not self._sync_engine else None

    async def check(self) -> Mapping[str, Any]:
        """Connect and select; in the event loop for an async engine, in the check's thread for a sync one."""
        if self._async_engine is None:
            return await super().check()
        async with self._async_engine.connect() as connection:
            await connection.exec_driver_sql("SELECT 1")
        return self._connected()

    def check_sync(self) -> Mapping[str, Any]:
        """Connect and select."""
        with self._sync_engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1")
        return self._connected()

    def _connected(self) -> dict[str, Any]:
        pool = self._sync_engine.pool
        size, active = (_count(pool, "size"), _count(pool, "checkedout"))
        return finding(HealthStatus.HEALTHY, "connected", pool_size=size, active_connections=active)


def _count(pool: Any, name: str) -> int | None:
    method = getattr(pool, name, None)
    return int(method()) if callable(method) else None


class VectorStoreCheck(SyncHealthCheck):
    """Whether a vector store is there: its `path` can be read, and `available()` says yes; one of them may be left out.

    Not critical by default: all instances share it, and a tutor can answer without context. Raises ConfigurationError when
    both are left out, and for an `available` that is not a plain function.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        available: Callable[[], object] | None = None,
        name: str = "vector_store",
        critical: bool = False,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        super().__init__(name, critical=critical, timeout=timeout)
        if path is None and available is None:
            raise ConfigurationError("a vector store without path and available cannot be checked: pass one of them")
        with refusing("path"):
            self._path = None if path is None else Path(path)
        self._available = None if available is None else plain_function("available", available)

    def check_sync(self) -> Mapping[str, Any]:
        """Look at the path, then ask."""
        details: dict[str, object] = {}
        if self._path is not None:
            details |= {"path": self._path, "path_valid": _is_readable(self._path)}
            if not details["path_valid"]:
                return finding(HealthStatus.UNHEALTHY, "the path is missing or cannot be read", **details)
        if self._available is not None:
            details["available"] = _says_yes(self._available)
            if not details["available"]:
                return finding(HealthStatus.UNHEALTHY, "not available", **details)
        return finding(HealthStatus.HEALTHY, "available", **details)


def _is_readable(path: Path) -> bool:
    return os.access(path, os.R_OK | os.X_OK if path.is_dir() else os.R_OK)


class ModelCheck(SyncHealthCheck):
    """Whether a model is loaded and, with `configuration`, whether its configuration is valid. No question is sent to it.

    Both are plain functions that return True or False. Not critical by default: all instances share a model server, and a
    tutor can still retrieve and practise without it. Raises ConfigurationError for what is not a plain function.
    """

    def __init__(
        self,
        loaded: Callable[[], object],
        *,
        configuration: Callable[[], object] | None = None,
        name: str = "model",
        critical: bool = False,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        super().__init__(name, critical=critical, timeout=timeout)
        self._loaded = plain_function("loaded", loaded)
        self._configuration = None if configuration is None else plain_function("configuration", configuration)

    def check_sync(self) -> Mapping[str, Any]:
        """Ask both functions."""
        details = {"loaded": _says_yes(self._loaded)}
        if not details["loaded"]:
            return finding(HealthStatus.UNHEALTHY, "not loaded", **details)
        if self._configuration is not None:
            details["configuration_valid"] = _says_yes(self._configuration)
            if not details["configuration_valid"]:
                return finding(HealthStatus.UNHEALTHY, "the configuration is not valid", **details)
        return finding(HealthStatus.HEALTHY, "loaded", **details)


def _says_yes(ask: Callable[[], object]) -> bool:
    answer = ask()
    if inspect.isawaitable(answer):  # it is true before it has answered
        raise TypeError("an awaitable is no answer")
    return bool(answer)
