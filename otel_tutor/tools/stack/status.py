"""How a component is: what both kinds of stack say of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httpx2

from otel_tutor.errors import StackError
from otel_tutor.tools.stack.backends import Backends

__all__ = ["Status", "answers", "seconds_since_data"]

# Of each component, the counters that rise when data reach it, as Prometheus has them. The others only give.
_RECEIVED: Final[Mapping[str, str]] = {
    "victorialogs": 'vl_rows_ingested_total{job="victorialogs"}',
    "jaeger": '{__name__=~"otelcol_receiver_accepted_spans.*",job="jaeger"}',
    "pager": 'alertmanager_notifications_total{job="alertmanager",integration="webhook"}',
    "alertmanager": 'alertmanager_alerts_received_total{job="alertmanager"}',
    "prometheus": 'prometheus_tsdb_head_samples_appended_total{job="prometheus"}',
    "collector": '{__name__=~"otelcol_receiver_accepted_.*",job="collector"}',
    "tutor": 'http_requests_total{job="tutor"}',
}


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


def answers(url: str) -> bool:
    """Whether 200 is the answer."""
    try:
        return httpx2.get(url, timeout=2, trust_env=False).status_code == httpx2.codes.OK
    except httpx2.HTTPError:
        return False


def seconds_since_data(backends: Backends) -> dict[str, float]:
    """By component, how long ago it last received anything; those that did in the last hour, or none without Prometheus."""
    found = {}
    try:
        for name, counter in _RECEIVED.items():
            rose = f"timestamp(sum({counter}) > (sum({counter} offset 5s) or vector(0)))"  # compared at every scrape
            if samples := backends.query(f"time() - max_over_time({rose}[1h:5s])"):
                found[name] = samples[0].value
    except StackError:
        return {}
    return found
