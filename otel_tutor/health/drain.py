"""Not ready from SIGTERM on, before the server stops listening."""

import os
import signal
import threading
from functools import partial
from types import FrameType
from typing import Any, Final

from otel_tutor.errors import ConfigurationError
from otel_tutor.health.service import HealthService, health_service
from otel_tutor.health.tasks import call_later, current_loop, has_ended

__all__ = ["drain_on_sigterm"]

_LONGEST_DELAY: Final = 3600.0  # seconds


def drain_on_sigterm(service: HealthService = health_service, *, delay: float = 0.0) -> bool:
    """Have SIGTERM turn the readiness of `service` false, then reach the handler that was there before, uvicorn's.

    Call it when the app starts up, in its lifespan: the server has set its own handler by then. For `delay` seconds the
    server keeps answering, so that load balancers see the 503 and send no more requests; a second SIGTERM ends the wait.
    Python takes signal handlers in the main thread only: elsewhere nothing is done. Once for a service is enough. Returns
    whether the handler is in place. Raises ConfigurationError for a delay that is not a number of seconds from 0 to 3600,
    and for one that no running event loop can wait for.
    """
    if not (isinstance(delay, (int, float)) and 0 <= delay <= _LONGEST_DELAY):
        raise ConfigurationError(f"delay={delay!r} is not a number of seconds from 0 to {_LONGEST_DELAY:g}: e.g. 5")
    if threading.current_thread() is not threading.main_thread():
        return False
    before = signal.getsignal(signal.SIGTERM)
    if not (isinstance(before, _Drain) and before.service is service):
        signal.signal(signal.SIGTERM, _Drain(service, delay, _running_loop(delay), before))
    return True


def _running_loop(delay: float) -> object:
    try:
        return current_loop() if delay else None
    except RuntimeError:
        raise ConfigurationError(f"delay={delay!r} needs the app's event loop: call this in the app's lifespan") from None


class _Drain:
    """The signal handler: drains at the first SIGTERM, passes it on after the delay, and any further one at once."""

    def __init__(self, service: HealthService, delay: float, loop: object, before: Any) -> None:
        self.service = service
        self._delay = delay
        self._loop = loop
        self._before = before
        self._process = os.getpid()
        self._passed = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.service.start_draining()
        loop, self._loop = self._loop, None
        # No thread waits: the main thread may be interrupted while it holds the locks that starting one takes.
        if loop is None or has_ended(loop) or os.getpid() != self._process:
            self._pass_on(number, frame)
        else:
            call_later(loop, self._delay, partial(self._end_wait, number))

    def _end_wait(self, number: int) -> None:
        if not self._passed:
            self._pass_on(number, None)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self._passed = True
        if callable(self._before):
            self._before(number, frame)
        elif self._before == signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
