"""Checks of what the machine has left: disk and memory."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from otel_tutor.errors import ConfigurationError, refusing
from otel_tutor.health.check import DEFAULT_TIMEOUT, SyncHealthCheck, finding
from otel_tutor.health.status import HealthStatus

__all__ = ["DiskCheck", "MemoryCheck"]

_CGROUP: Final = Path("/sys/fs/cgroup")  # what a container sees of its own limits (cgroup v2)


class DiskCheck(SyncHealthCheck):
    """How full the file system of `path` is: DEGRADED from `warning_percent`, UNHEALTHY from `critical_percent`.

    Critical by default: a disk belongs to one machine, and requests are better sent to another. Raises ConfigurationError
    for thresholds out of order.
    """

    def __init__(
        self,
        *,
        path: str | os.PathLike[str] = "/",
        warning_percent: float = 85.0,
        critical_percent: float = 95.0,
        name: str = "disk",
        critical: bool = True,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        super().__init__(name, critical=critical, timeout=timeout)
        _check_percent("critical_percent", critical_percent)
        with refusing("warning_percent"):
            if not 0 <= warning_percent <= critical_percent:
                raise ConfigurationError(
                    f"warning_percent={warning_percent!r} is not between 0 and critical_percent={critical_percent!r}"
                )
        with refusing("path"):
            self._path = Path(path)
        self._warning, self._critical = warning_percent, critical_percent

    def check_sync(self) -> Mapping[str, Any]:
        """Read how full it is, as `df` shows it."""
        usage = psutil.disk_usage(str(self._path))
        level = _level(degraded=usage.percent >= self._warning, unhealthy=usage.percent >= self._critical)
        return finding(
            level,
            f"{usage.percent:g} % used",
            path=self._path,
            used_percent=usage.percent,
            used_bytes=usage.used,
            total_bytes=usage.total,
        )


class MemoryCheck(SyncHealthCheck):
    """How much memory is in use: DEGRADED from `warning_bytes`, UNHEALTHY from `critical_percent` of what there is.

    In a container, the total is its limit, read below `cgroup`. The warning is the 12 GB at which the alert
    HighMemoryUsage fires, so that both say the same. The critical threshold is a share: 12 GB in use harm no machine that
    has 64, while 95 % of any is where the kernel begins to kill. Critical by default, as for a disk. Raises
    ConfigurationError for a threshold that cannot be one.
    """

    def __init__(
        self,
        *,
        warning_bytes: float = 12e9,
        critical_percent: float = 95.0,
        name: str = "memory",
        critical: bool = True,
        timeout: float = DEFAULT_TIMEOUT,
        cgroup: Path = _CGROUP,
    ) -> None:
        super().__init__(name, critical=critical, timeout=timeout)
        _check_percent("critical_percent", critical_percent)
        with refusing("warning_bytes"):
            if not warning_bytes >= 0:
                raise ConfigurationError(f"warning_bytes={warning_bytes!r} is not a number of bytes: e.g. 12e9")
        self._warning, self._critical = warning_bytes, critical_percent
        self._cgroup = cgroup

    def check_sync(self) -> Mapping[str, Any]:
        """Read what is in use, without caches that can be dropped."""
        memory = _read_memory(self._cgroup)
        percent = round(100 * memory.used / memory.total, 1)
        level = _level(degraded=memory.used >= self._warning, unhealthy=percent >= self._critical)
        message = f"{memory.used / 1e9:.1f} GB used, {percent:g} %"
        return finding(level, message, used_bytes=memory.used, total_bytes=memory.total, used_percent=percent)


@dataclass(frozen=True, slots=True)
class _Memory:
    used: int
    total: int


def _read_memory(cgroup: Path) -> _Memory:
    """The memory of the machine, or of the container when that is less."""
    machine = psutil.virtual_memory()
    try:
        limit = int((cgroup / "memory.max").read_text())  # "max" without a limit
        used = int((cgroup / "memory.current").read_text())
        statistics = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        limit, used, statistics = machine.total, 0, {}
    if 0 < limit < machine.total:
        return _Memory(max(0, used - int(statistics.get("inactive_file", 0))), limit)
    return _Memory(machine.total - machine.available, machine.total)


def _level(*, degraded: bool, unhealthy: bool) -> HealthStatus:
    if unhealthy:
        return HealthStatus.UNHEALTHY
    return HealthStatus.DEGRADED if degraded else HealthStatus.HEALTHY


def _check_percent(option: str, percent: float) -> None:
    with refusing(option):
        if not 0 <= percent <= 100:  # noqa: PLR2004 - per cent
            raise ConfigurationError(f"{option}={percent!r} is not a percentage: use a number from 0 to 100")
