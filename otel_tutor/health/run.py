"""One run of all checks, shared by every probe that asks while it is under way."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextvars import Context, copy_context
from functools import partial
from typing import Final

from opentelemetry.instrumentation.utils import suppress_instrumentation

from otel_tutor.health.runner import CheckRunner
from otel_tutor.health.status import HealthResult
from otel_tutor.health.tasks import current_loop, has_ended, settled, spawn

__all__ = ["HealthRun"]

_GRACE: Final = 0.1  # seconds after the last deadline; then a probe in another event loop no longer waits for the run


class HealthRun:
    """Begins at once, as a task of the current event loop, and continues when the probe that asked for it goes away.

    `on_done` is called once at the end, with whether all checks have a result; they have not when the event loop ends first.
    """

    def __init__(self, runners: Mapping[str, CheckRunner], on_done: Callable[["HealthRun", bool], None]) -> None:
        self.runners = runners
        self.results: dict[str, HealthResult] = {}
        self._on_done = on_done
        self._critical: Future[bool] = Future()
        self._all: Future[bool] = Future()
        for future in (self._critical, self._all):
            future.set_running_or_notify_cancel()  # a probe that goes away must not cancel what others wait for
        self._deadline = time.monotonic() + max((runner.check.timeout for runner in runners.values()), default=0.0) + _GRACE
        self._loop = current_loop()
        # In a new context: what a check calls is no part of the request that happened to ask first.
        self._task = spawn(self._run_checks, name="health", context=Context())
        self._task.outcome.add_done_callback(self._finish)

    def is_over(self) -> bool:
        """Whether no more results will come: it is done, or its event loop no longer runs."""
        return self._all.done() or has_ended(self._loop) or (not self._here() and time.monotonic() >= self._deadline)

    async def wait(self, *, critical_only: bool) -> bool:
        """Whether the checks asked for have results, once they have; False when the run was lost."""
        future = self._critical if critical_only else self._all
        remaining = None if self._here() else self._deadline - time.monotonic()
        return await settled(future, remaining) and future.result()

    def _here(self) -> bool:
        return self._loop is current_loop()

    async def _run_checks(self) -> None:
        with suppress_instrumentation():
            context = copy_context()
        tasks = {
            name: spawn(partial(self._run_check, name, runner), name=f"health-{name}", context=context.copy())
            for name, runner in self.runners.items()
        }
        # A slow check that is not critical must not turn readiness into a slow probe.
        critical = {name: task for name, task in tasks.items() if self.runners[name].check.critical}
        for task in critical.values():
            await settled(task.outcome)
        self._critical.set_result(self.results.keys() >= critical.keys())
        for task in tasks.values():
            await settled(task.outcome)

    async def _run_check(self, name: str, runner: CheckRunner) -> None:
        self.results[name] = await runner.run()

    def _finish(self, _: "Future[object]") -> None:
        complete = self.results.keys() >= self.runners.keys()
        self._on_done(self, complete)
        for future in (self._critical, self._all):
            if not future.done():
                future.set_result(complete)
