"""One check, run under its deadline, whose every outcome is a result."""

import time
from collections.abc import Mapping
from contextvars import copy_context
from itertools import islice
from typing import Any

from otel_tutor.health.check import HealthCheck, StillRunningError
from otel_tutor.health.status import MOST_DETAILS, HealthResult, HealthStatus, plain
from otel_tutor.health.tasks import Task, settled, spawn

__all__ = ["CheckRunner"]


class CheckRunner:
    """Runs one check, never twice at a time: one that ignores its cancellation is not begun again before it ends."""

    def __init__(self, check: HealthCheck) -> None:
        self.check = check
        self._task: Task | None = None

    async def run(self) -> HealthResult:
        """The result of a new run, after the check's timeout at the latest."""
        if self._task is not None and self._task.is_running():
            return self._unfinished(0.0)
        start = time.perf_counter()
        task = self._task = spawn(self._call, name=f"health-{self.check.name}", context=copy_context())
        try:
            await settled(task.outcome, self.check.timeout)
        finally:
            task.cancel()  # nothing, unless the deadline has passed or this run was itself cancelled
        return self._judge(task, time.perf_counter() - start)

    async def _call(self) -> object:
        try:
            return await self.check.check()
        except (KeyboardInterrupt, SystemExit) as error:  # raised in a check it is a failed check, not the end of the app
            return error

    def _judge(self, task: Task, duration: float) -> HealthResult:
        if not task.outcome.done() or duration > self.check.timeout:
            return self._failed(duration, f"took longer than {self.check.timeout:g} s", "TimeoutError")
        try:
            return self._ended(task.outcome.result(), duration)
        except BaseException as error:  # an answer is an object of the app, whose methods may do anything
            return self._failed(duration, "the check failed", type(error).__name__)

    def _ended(self, answer: object, duration: float) -> HealthResult:
        if isinstance(answer, StillRunningError):
            return self._unfinished(duration)
        if isinstance(answer, BaseException):
            return self._failed(duration, "the check failed", type(answer).__name__)
        if not isinstance(answer, Mapping) or answer.get("status") not in list(HealthStatus):
            return self._failed(duration, 'check() must return {"status": HealthStatus, "message": str, "details": dict}')
        return HealthResult(
            status=HealthStatus(answer["status"]),
            message=str(plain(answer.get("message", ""))),
            details=plain(_details(answer.get("details") or {})),
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


def _details(given: Any) -> dict[object, object]:
    """As a mapping: a mapping or pairs. It may have no end, and neither may what should be a pair."""
    pairs = given.items() if isinstance(given, Mapping) else given
    return {key: value for key, value in islice(pairs, MOST_DETAILS)}  # noqa: C416 - dict() reads all of a pair
