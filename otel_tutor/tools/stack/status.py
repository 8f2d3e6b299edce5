"""How a component is: what both kinds of stack say of each."""

from dataclasses import dataclass

from otel_tutor.errors import StackError
from otel_tutor.tools.stack.backends import Backends
from otel_tutor.tools.stack.components import COMPONENTS

__all__ = ["Status", "seconds_since_data"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """One program or container as it is now."""

    name: str
    state: str  # as the supervisor or the engine says it, in lower case: running, stopped, fatal, exited, ...
    pid: int | None
    uptime: float  # seconds
    port: int | None  # the one to show
    ready: bool
    version: str  # of the component; empty where that is not known
    memory: int  # bytes; 0 where that is not known


def seconds_since_data(backends: Backends) -> dict[str, float]:
    """By component, how long ago it last received anything; those that did in the last hour, or none without Prometheus."""
    seconds = {}
    try:
        for component in COMPONENTS:
            if not (counter := component.received):
                continue
            rose = f"timestamp(sum({counter}) > (sum({counter} offset 5s) or vector(0)))"  # compared at every scrape
            if samples := backends.query(f"time() - max_over_time({rose}[1h:5s])"):
                seconds[component.name] = samples[0].value
    except StackError:
        return {}
    return seconds
