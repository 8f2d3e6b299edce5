"""The health of a service: its checks run together, once for all probes that ask, and the answers for them."""

import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from otel_tutor.errors import ConfigurationError, refusing
from otel_tutor.health.check import HealthCheck
from otel_tutor.health.run import HealthRun
from otel_tutor.health.runner import CheckRunner
from otel_tutor.health.status import CheckObservation, HealthObservations, HealthResult, HealthStatus, now, overall, plain
from otel_tutor.recording.guard import attempt
from otel_tutor.recording.state import state

__all__ = ["HealthService", "health_service"]


class HealthService:
    """Knows the checks of a service and runs them when asked, one run at a time however many ask.

    `service` and `version` are shown in the JSON, by default "tutor" and the version of this package. Results
    are kept for `cache_seconds`, or for `failure_cache_seconds` when a check failed, so that a recovery shows sooner.
    """

    def __init__(
        self,
        *,
        service: str = "tutor",
        version: str | None = None,
        cache_seconds: float = 1.0,
        failure_cache_seconds: float = 0.25,
    ) -> None:
        self.service = service
        self._version = version
        self._keep = {True: cache_seconds, False: failure_cache_seconds}
        self._runners: Mapping[str, CheckRunner] = {}  # replaced, never changed: a run keeps the one it began with
        self.begin_life()
        state.health_services.add(self)

    def begin_life(self) -> None:
        """Begin as in a new process: a forked worker inherits the checks and nothing else. `state` calls this in a child."""
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self.forget()

    def forget(self) -> None:
        """Forget every result and that the process is ending; `testing.Capture.reset` calls this through `state`."""
        self._runners = {name: CheckRunner(runner.check) for name, runner in self._runners.items()}
        self._run: HealthRun | None = None
        self._last: Mapping[str, HealthResult] = {}
        self._fresh_until = float("-inf")
        self._draining = False

    @property
    def version(self) -> str:
        """The version in the JSON."""
        if self._version is None:
            from otel_tutor import __version__

            return __version__
        return self._version

    @refusing("check")
    def register(self, check: HealthCheck) -> None:
        """Have `check` run from now on. Raises ConfigurationError for what is no check and for a name already taken."""
        if not isinstance(check, HealthCheck) or not hasattr(check, "name"):
            raise ConfigurationError(
                f"check={check!r} is not a health check: pass an instance of a subclass of HealthCheck that called "
                'super().__init__("name")'
            )
        if not state.watches_forks:  # before configure(), or without it
            state.watch_forks()
        with self._lock:
            if check.name in self._runners:
                raise ConfigurationError(f"a health check named {check.name!r} is registered: choose another name")
            self._runners = {**self._runners, check.name: CheckRunner(check)}
            self._fresh_until = float("-inf")

    def unregister(self, name: str) -> None:
        """Forget a check, as a test does with what it registered; an unknown name changes nothing."""
        with self._lock:
            self._runners = {other: runner for other, runner in self._runners.items() if other != name}
            self._fresh_until = float("-inf")

    def start_draining(self) -> None:
        """Say not ready from now on, whatever the checks say: this process is about to end."""
        self._draining = True

    async def check_health(self, detailed: bool = False) -> dict[str, Any]:
        """Status, timestamp, service, version and checks; with messages, details and class names when `detailed`."""
        results = await self._results()
        return {
            "status": overall(results.values()),
            "timestamp": now(),
            "service": attempt(plain, self.service),
            "version": attempt(plain, self.version),
            "checks": {name: result.describe(detailed=detailed) for name, result in results.items()},
        }

    async def check_readiness(self) -> dict[str, Any]:
        """Whether requests should be sent here: not while a critical check fails, nor once the process is ending."""
        ready = not self._draining and await self._is_usable()
        return {"ready": ready and not self._draining, "timestamp": now()}  # draining may have begun meanwhile

    async def check_liveness(self) -> dict[str, Any]:
        """That the event loop turns; no dependency is touched."""
        return {"alive": True, "timestamp": now(), "uptime_seconds": round(self._uptime(), 3)}

    def observations(self) -> HealthObservations:
        """The results of the last run as numbers, for gauges; nothing is run. Safe from any thread."""
        last = self._last
        checks = tuple(CheckObservation(name, result.status.level, result.duration) for name, result in last.items())
        return HealthObservations(checks, overall(last.values()).level if last else None, self._uptime())

    async def _is_usable(self) -> bool:
        return overall((await self._results(critical_only=True)).values()) is not HealthStatus.UNHEALTHY

    def _uptime(self) -> float:
        return time.monotonic() - self._started

    async def _results(self, *, critical_only: bool = False) -> Mapping[str, HealthResult]:
        while True:
            with self._lock:
                if time.monotonic() < self._fresh_until:
                    return self._last
                if self._run is None or self._run.is_over():
                    self._run = HealthRun(self._runners, self._keep_results)
                run = self._run
            if await run.wait(critical_only=critical_only):
                return dict(run.results)

    def _keep_results(self, run: HealthRun, complete: bool) -> None:
        with self._lock:
            if run is self._run:
                self._run = None
            if complete:
                self._last = {name: run.results[name] for name in run.runners}  # in the order of registration
                good = all(result.status is not HealthStatus.UNHEALTHY for result in self._last.values())
                current = run.runners is self._runners
                self._fresh_until = time.monotonic() + self._keep[good] if current else float("-inf")


health_service: Final = HealthService()
