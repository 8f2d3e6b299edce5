"""Drills: for every alert that one machine can have, a fault that makes it fire and whose end makes it resolve.

Each runs on a stack and a tutor of its own, under load, with real components; what is measured is when the webhook is told.
"""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx2
import psutil

from otel_tutor.demo import faults
from otel_tutor.demo.faults import Faults
from otel_tutor.demo.settings import Settings
from otel_tutor.tools.exercise.environment import Site
from otel_tutor.tools.stack.backends import Backends, wait_for
from otel_tutor.tools.stack.files import shipped
from otel_tutor.tools.stack.ports import LOOPBACK

__all__ = ["DRILLS", "Drill", "Outcome", "not_drilled", "run_drill"]

_DETECT_SECONDS: Final = 240
_RESOLVE_SECONDS: Final = 600
_WARM_SECONDS: Final = 25  # of load before the fault: every rate has points, every guard its number of events
_NOWHERE: Final = f"{LOOPBACK}:1"


Fault = Callable[[Site], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """An alert, the fault that causes it, in words and in deed."""

    alert: str
    fault: str
    inject: Fault
    labels: Mapping[str, str] = field(default_factory=dict)  # which of the alert's series is waited for


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a drill went: seconds from the fault to the notification, and from its end to the one of the resolve."""

    drill: Drill
    detected: float | None
    resolved: float | None
    others: tuple[str, ...]  # further alerts that the webhook was told of


def _switched(name: str) -> Fault:
    @contextmanager
    def inject(site: Site) -> Iterator[None]:
        switch = Faults(Settings(data=site.stack.data / "tutor").faults)
        switch.switch(name, True)
        try:
            yield
        finally:
            switch.switch(name, False)

    return inject


def _stopped(program: str) -> Fault:
    @contextmanager
    def inject(site: Site) -> Iterator[None]:
        site.stack.supervisor.stop_program(program)
        try:
            yield
        finally:
            site.stack.supervisor.start_program(program)

    return inject


def _edited(file: str, pattern: str, new: str, program: str | None = "collector") -> Fault:
    """A mistake in the configuration, and the restart that makes it take effect."""

    @contextmanager
    def inject(site: Site) -> Iterator[None]:
        path = site.configuration / file
        before = path.read_text(encoding="utf-8")
        after = re.sub(pattern, new, before)
        if after == before:
            raise ValueError(f"{pattern!r} is not in {path}")
        try:
            _write(site, path, after, program)
            yield
        finally:
            _write(site, path, before, program)

    return inject


def _write(site: Site, path: Path, text: str, program: str | None) -> None:
    path.write_text(text, encoding="utf-8")
    if program:
        site.stack.supervisor.stop_program(program)
        site.stack.supervisor.start_program(program)


@contextmanager
def _busy(_: Site) -> Iterator[None]:
    burning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(psutil.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in burning:
            process.kill()
            process.wait()


@contextmanager
def _without_students(site: Site) -> Iterator[None]:
    site.load.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        site.load.send_signal(signal.SIGCONT)


@contextmanager
def _long_without_collector(site: Site) -> Iterator[None]:
    """What the app drops meanwhile, it can tell only afterwards."""
    with _stopped("collector")(site):
        time.sleep(45)  # until its queue of 2048 spans has overflown and a few batches were given up
    yield


@contextmanager
def _broken_rule(site: Site) -> Iterator[None]:
    rules = site.configuration / "alerts" / "rules" / "broken.yaml"
    rules.write_text("groups: [{name: broken, rules: [{record: broken, expr: up * on () up}]}]\n", encoding="utf-8")
    try:
        _reload(site)
        yield
    finally:
        rules.unlink()
        _reload(site)


def _reload(site: Site) -> None:
    psutil.Process(site.stack.supervisor.processes()["prometheus"]["pid"]).send_signal(signal.SIGHUP)


_LIMITS: Final = r"limit_mib: 512\n    spike_limit_mib: 128"
_EVERY: Final = (
    Drill(alert="HighLatency", fault="the model takes 11 s", inject=_switched(faults.SLOW_GENERATION)),
    Drill(alert="HighErrorRate", fault="the model fails", inject=_switched(faults.FAILING_GENERATION)),
    Drill(alert="APIDown", fault="the tutor is stopped", inject=_stopped("tutor")),
    Drill(alert="SlowRAGRetrieval", fault="retrieval takes 0.8 s more", inject=_switched(faults.SLOW_RETRIEVAL)),
    Drill(alert="SlowModelInference", fault="the model takes 11 s", inject=_switched(faults.SLOW_GENERATION)),
    Drill(alert="HighCPUUsage", fault="every processor is kept busy", inject=_busy),
    Drill(alert="LargeSyncQueue", fault="the central database refuses records", inject=_switched(faults.FULL_OUTBOX)),
    Drill(alert="HighSyncFailureRate", fault="the central database refuses records", inject=_switched(faults.FULL_OUTBOX)),
    Drill(alert="NoStudentActivity", fault="the students stay away", inject=_without_students),
    Drill(alert="HighRAGFailureRate", fault="the model fails", inject=_switched(faults.FAILING_GENERATION)),
    Drill(alert="HealthCheckFailing", fault="the database is gone", inject=_switched(faults.DEAD_DATABASE)),
    Drill(alert="EventLoopStalled", fault="a call blocks one worker", inject=_switched(faults.STALLED_LOOP)),
    Drill(
        alert="DatabasePoolExhausted", fault="connections are not given back", inject=_switched(faults.LEAKED_CONNECTIONS)
    ),
    Drill(
        alert="ErrorBudgetBurn",
        fault="the model fails",
        inject=_switched(faults.FAILING_GENERATION),
        labels={"slo": "error-rate", "window": "1h"},
    ),
    Drill(alert="CardinalityOverflow", fault="topics are free text", inject=_switched(faults.FREE_TEXT_TOPICS)),
    Drill(alert="TelemetryDropped", fault="the Collector is away for 45 s", inject=_long_without_collector),
    Drill(
        alert="TelemetryUnconverted",
        fault="naming.yaml converts nothing",
        inject=_edited("collector/naming.yaml", r"- convert_exponential_\S+\(.*\)", '- set(metric.unit, "1")'),
    ),
    Drill(alert="CollectorDown", fault="the Collector is stopped", inject=_stopped("collector")),
    Drill(alert="ComponentDown", fault="Jaeger is stopped", inject=_stopped("jaeger")),
    Drill(
        alert="TelemetryExportStalled",
        fault="the Collector has a wrong address of Jaeger",
        inject=_edited("collector/config.yaml", r"\$\{env:OTEL_TUTOR_JAEGER_OTLP:-127.0.0.1:14317\}", _NOWHERE),
    ),
    Drill(
        alert="TelemetryQueueFilling",
        fault="the same, with a queue of 1 MB",
        inject=_edited(
            "collector/config.yaml",
            r"(?s)\$\{env:OTEL_TUTOR_JAEGER_OTLP:-127.0.0.1:14317\}(.*?)queue_size: 536870912",
            rf"{_NOWHERE}\1queue_size: 1000000",
        ),
    ),
    Drill(
        alert="TelemetryRefused",
        fault="the Collector may use 2 MiB of memory",
        inject=_edited("collector/config.yaml", _LIMITS, "limit_mib: 2\n    spike_limit_mib: 1"),
    ),
    Drill(alert="RuleEvaluationFailing", fault="a rule matches many to many", inject=_broken_rule),
    Drill(
        alert="NotificationsFailing",
        fault="nobody listens where the watchdog reports",
        inject=_edited("alerts/receivers/watchdog.url", ".+", f"http://{_NOWHERE}/", program=None),
    ),
)
DRILLS: Final[Mapping[str, Drill]] = {drill.alert: drill for drill in _EVERY}

_REASON: Final = re.compile(r"^## Drill\n\nNot drilled: (.+?)\.$", re.MULTILINE | re.DOTALL)


def not_drilled() -> Mapping[str, str]:
    """Of each alert without a drill the reason, from its runbook: `Not drilled: reason.` under the heading `Drill`."""
    pages = sorted((shipped() / "alerts" / "runbooks").glob("*.md"))
    reasons = {page.stem: _REASON.search(page.read_text(encoding="utf-8")) for page in pages}
    return {alert: " ".join(reason[1].split()) for alert, reason in reasons.items() if reason}


def run_drill(drill: Drill, site: Site, tell: Callable[[str], None] = lambda _: None) -> Outcome:
    """Warm up, do the damage, wait for the notification, undo it, wait for the resolve."""
    tell("load")
    _warm_up(site)
    tell(drill.fault)
    since = datetime.now(UTC).isoformat()
    started = time.monotonic()
    with drill.inject(site):
        detected = _seconds(started, _DETECT_SECONDS, site, drill, "firing")
    tell("the fault is gone")
    ended = time.monotonic()
    resolved = _seconds(ended, _RESOLVE_SECONDS, site, drill, "resolved") if detected is not None else None
    others = {one["labels"]["alertname"] for one in site.notifications() if one["startsAt"] > since} - {drill.alert}
    return Outcome(drill=drill, detected=detected, resolved=resolved, others=tuple(sorted(others)))


def _warm_up(site: Site) -> None:
    with Backends(site.ports) as backends:
        rates = "job:http_request_duration_seconds:p95_rate2m > 0 and on (job) job:api:up == 1"
        wait_for(lambda: backends.query(rates), bool, seconds=60)
    time.sleep(_WARM_SECONDS)


def _seconds(since: float, limit: float, site: Site, drill: Drill, status: str) -> float | None:
    def happened() -> bool:
        _probe(site)
        return site.notified(drill.alert, status, drill.labels)

    return time.monotonic() - since if wait_for(happened, bool, seconds=limit) else None


def _probe(site: Site) -> None:
    """Ask for the tutor's health, as an orchestrator would all the time."""
    try:
        httpx2.get(f"http://{LOOPBACK}:{site.ports['app']}/health", timeout=2, trust_env=False)
    except httpx2.HTTPError:
        return
