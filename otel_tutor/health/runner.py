"""One check, run under its deadline, whose every outcome is a result."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from otel_tutor.health.check import HealthCheck, StillRunningError
from otel_tutor.health.status import HealthResult, HealthStatus, plain

__all__ = ["CheckRunner"]


class CheckRunner:
    """Runs one check, never twice at a time: one that ignores its cancellation is not begun again before it ends."""

    def __init__(self, check: HealthCheck) -> None:
        self.check = check
        self._task: asyncio.Task[Mapping[str, Any]] | None = None

    async def run(self) -> HealthResult:
        """The result of a new run, after the check's timeout at the latest."""
        if self._task and not self._task.done() and not self._task.get_loop().is_closed():
            return self._unfinished(0.0)
        start = time.perf_counter()
        task = self._task = asyncio.create_task(self._call(), name=f"health-{self.check.name}")
        task.add_done_callback(_retrieve)
        try:
            await asyncio.wait({task}, timeout=self.check.timeout)
        finally:
            task.cancel()  # nothing, unless the deadline has passed or this run was itself cancelled
        return self._judge(task, time.perf_counter() - start)

    async def _call(self) -> Mapping[str, Any]:
        return await self.check.check()

    def _judge(self, task: asyncio.Task[Mapping[str, Any]], duration: float) -> HealthResult:
        if not task.done() or duration > self.check.timeout:
            return self._failed(duration, f"took longer than {self.check.timeout:g} s", "TimeoutError")
        try:
            return self._answered(task.result(), duration)
        except StillRunningError:
            return self._unfinished(duration)
        except (Exception, asyncio.CancelledError) as error:
            return self._failed(duration, "the check failed", type(error).__name__)

    def _answered(self, answer: object, duration: float) -> HealthResult:
        if not isinstance(answer, Mapping) or answer.get("status") not in list(HealthStatus):
            return self._failed(duration, 'check() must return {"status": HealthStatus, "message": str, "details": dict}')
        return HealthResult(
            status=HealthStatus(answer["status"]),
            message=str(plain(answer.get("message", ""))),
            details=plain(dict(answer.get("details") or {})),
            duration=duration,
            critical=self.check.critical,
        )

    def _unfinished(self, duration: float) -> HealthResult:
        return self._failed(duration, "still running: an earlier run has not come back")

    def _failed(self, duration: float, message: str, error: str | None = None) -> HealthResult:
        return HealthResult(
            status=HealthStatus.UNHEALTHY,
            message=message,
            duration=duration,
            critical=self.check.critical,
            error=error,
        )


def _retrieve(task: asyncio.Task[Mapping[str, Any]]) -> None:
    """Retrieve an exception that is no longer waited for: asyncio would log it, with its text."""
    if not task.cancelled():
        task.exception()
