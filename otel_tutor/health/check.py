"""The base classes of everything that can be checked."""

import inspect
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextvars import copy_context
from typing import Any, Final

from otel_tutor.errors import ConfigurationError, refusing
from otel_tutor.health.status import HealthStatus
from otel_tutor.health.tasks import settled

__all__ = ["HealthCheck", "StillRunningError", "SyncHealthCheck", "finding", "plain_function"]

DEFAULT_TIMEOUT: Final = 1.0  # seconds; the default timeout of a Kubernetes probe

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


class StillRunningError(Exception):
    """An earlier run of the check has not come back, so that no other one is begun."""


class HealthCheck(ABC):
    """One thing a service needs. Subclass it, call `super().__init__("name")`, define `async def check(self)`.

    `critical` says that the service cannot answer without it: the service is then UNHEALTHY and not ready when the check
    fails, and only DEGRADED otherwise. What all instances share and can answer without is better not critical: when it is
    down, degraded answers are better than none. `timeout` is in seconds; a check that takes longer is a failed check.

    Raises ConfigurationError for a name that cannot be a label, a timeout that is not a number above 0, and a `check` that
    is no coroutine function.
    """

    def __init__(self, name: str, *, critical: bool = True, timeout: float = DEFAULT_TIMEOUT) -> None:
        with refusing("name"):
            if not (isinstance(name, str) and _NAME.fullmatch(name)):
                raise ConfigurationError(
                    f"name={name!r} cannot name a health check: "
                    "use a letter, then at most 63 letters, digits, '_', '-' or '.'"
                )
        with refusing("timeout"):
            if not (isinstance(timeout, (int, float)) and 0 < timeout < float("inf")):
                raise ConfigurationError(f"timeout={timeout!r} is not a number of seconds above 0: e.g. {DEFAULT_TIMEOUT}")
        if not inspect.iscoroutinefunction(self.check):
            raise ConfigurationError(
                f"check {name!r} would block the app: define async def check, or subclass SyncHealthCheck to block"
            )
        self.name = name
        self.critical = critical
        self.timeout = timeout

    @abstractmethod
    async def check(self) -> Mapping[str, Any]:
        """Look, and return `{"status": HealthStatus.HEALTHY, "message": "...", "details": {...}}`.

        It runs in the event loop of the app and must not block it; blocking work belongs in a `SyncHealthCheck`. It may
        raise: the check has then failed, and only the class of the exception is ever shown, so do not write its text into
        the message. `message` and `details` go to those who may see details; both may be left out.
        """


class SyncHealthCheck(HealthCheck):
    """A check whose work blocks: define `def check_sync(self)` instead of `check`.

    It runs in its own thread, never in two: while one run hangs, the check fails at once without a new thread.
    """

    def __init__(self, name: str, *, critical: bool = True, timeout: float = DEFAULT_TIMEOUT) -> None:
        super().__init__(name, critical=critical, timeout=timeout)
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._answer: Future[Mapping[str, Any]] | None = None

    @abstractmethod
    def check_sync(self) -> Mapping[str, Any]:
        """Look, blocking as needed; otherwise as `HealthCheck.check`."""

    async def check(self) -> Mapping[str, Any]:
        """Run `check_sync` in the check's thread. Raises StillRunningError while an earlier run has not come back."""
        answer = self._begin()
        await settled(answer)
        return answer.result()

    def _begin(self) -> Future[Mapping[str, Any]]:
        with self._starting:
            # After a fork an unanswered run has no thread any more.
            if self._answer is not None and not self._answer.done() and self._thread and self._thread.is_alive():
                raise StillRunningError
            answer: Future[Mapping[str, Any]] = Future()
            answer.set_running_or_notify_cancel()  # a probe that gives up must not cancel what a thread will answer
            work, name = copy_context().run, f"health-{self.name}"
            self._thread = threading.Thread(target=work, args=(self._work, answer), name=name, daemon=True)
            self._thread.start()
            self._answer = answer
            return answer

    def _work(self, answer: Future[Mapping[str, Any]]) -> None:
        try:
            answer.set_result(self.check_sync())
        except Exception as error:
            answer.set_exception(error)
        except BaseException as error:  # sys.exit() in a check is a failed check, not the end of the app
            answer.set_exception(RuntimeError(type(error).__name__))


def finding(status: HealthStatus, message: str, **details: object) -> dict[str, Any]:
    """What a check returns."""
    return {"status": status, "message": message, "details": details}


def plain_function(option: str, function: object) -> Callable[[], object]:
    """`function` when it can be called in a thread. Raises ConfigurationError otherwise, as for a coroutine function."""
    with refusing(option):
        if not callable(function) or inspect.iscoroutinefunction(function):
            raise ConfigurationError(
                f"{option}={function!r} is not a plain function: "
                "pass one that returns True or False, or subclass HealthCheck"
            )
        return function
