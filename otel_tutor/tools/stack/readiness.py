"""When a component is ready: its page answers."""

from collections.abc import Callable

import httpx2

from otel_tutor.errors import StackError
from otel_tutor.tools.stack.polling import wait_for

__all__ = ["answers", "wait_until_ready"]


def answers(url: str) -> bool:
    """Whether 200 is the answer."""
    try:
        return httpx2.get(url, timeout=2, trust_env=False).status_code == httpx2.codes.OK
    except httpx2.HTTPError:
        return False


def wait_until_ready(name: str, check: Callable[[], bool | None], *, seconds: float, last_output: Callable[[], str]) -> None:
    """Ask `check` until it returns True; False means that the component will not be ready, None that it may be.

    Raises StackError with the last that the component wrote, after `seconds` or as soon as it is clear.
    """
    ready = wait_for(check, lambda answer: answer is not None, seconds=seconds, every=0.1)
    if not ready:
        what = f"is not ready after {seconds:.0f} s" if ready is None else "ended"
        raise StackError(f"{name} {what}: {last_output()}")
