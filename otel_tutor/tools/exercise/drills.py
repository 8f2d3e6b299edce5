"""Drills: for every alert that one machine can have, a fault that makes it fire and whose end makes it resolve.

Each runs on a separate stack and tutor, under load, with real components; what is measured is when the webhook is notified.
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
from otel_tutor.settings import shipped_config_dir
from otel_tutor.tools.exercise.environment import DrillEnvironment
from otel_tutor.tools.stack.backends import Backends
from otel_tutor.tools.stack.polling import wait_for
from otel_tutor.tools.stack.ports import LOOPBACK

__all__ = ["DRILLS", "Drill", "Outcome", "not_drilled", "run_drill"]

_DETECT_SECONDS: Final = 240
_RESOLVE_SECONDS: Final = 600
_WARM_SECONDS: Final = 25  # of load before the fault: every rate has points, every guard its number of events
_NOWHERE: Final = f"{LOOPBACK}:1"


Fault = Callable[[DrillEnvironment], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """An alert, and the fault that causes it: its description and how it is injected."""

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
    others: tuple[str, ...]  # further alerts that the webhook was notified of


def _switched(name: str) -> Fault:
    @contextmanager
    def inject(environment: DrillEnvironment) -> Iterator[None]:
        switch = Faults(Settings(data=environment.stack.data / "tutor").faults)
        switch.switch(name, True)
        try:
            yield
        finally:
            switch.switch(name, False)

    return inject


def _stopped(program: str) -> Fault:
    @contextmanager
    def inject(environment: DrillEnvironment) -> Iterator[None]:
        environment.stack.supervisor.stop_program(program)
        try:
            yield
        finally:
            environment.stack.supervisor.start_program(program)

    return inject


def _edited(file: str, pattern: str, new: str, program: str | None = "collector") -> Fault:
    """A mistake in the configuration, and the restart that makes it take effect."""

    @contextmanager
    def inject(environment: DrillEnvironment) -> Iterator[None]:
        path = environment.configuration / file
        before = path.read_text(encoding="utf-8")
        after = re.sub(pattern, new, before)
        if after == before:
            raise ValueError(f"{pattern!r} is not in {path}")
        try:
            _write(environment, path, after, program)
            yield
        finally:
            _write(environment, path, before, program)

    return inject


def _write(environment: DrillEnvironment, path: Path, text: str, program: str | None) -> None:
    path.write_text(text, encoding="utf-8")
    if program:
        environment.stack.supervisor.stop_program(program)
        environment.stack.supervisor.start_program(program)


@contextmanager
def _busy(_: DrillEnvironment) -> Iterator[None]:
    burning = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(psutil.cpu_count() or 1)]
    try:
        yield
    finally:
        for process in burning:
            process.kill()
            process.wait()


@contextmanager
def _without_students(environment: DrillEnvironment) -> Iterator[None]:
    environment.load.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        environment.load.send_signal(signal.SIGCONT)


@contextmanager
def _broken_rule(environment: DrillEnvironment) -> Iterator[None]:
    rules = environment.configuration / "alerts" / "rules" / "broken.yaml"
    rules.write_text("groups: [{name: broken, rules: [{record: broken, expr: up * on () up}]}]\n", encoding="utf-8")
    try:
        _reload(environment)
        yield
    finally:
        rules.unlink()
        _reload(environment)


def _reload(environment: DrillEnvironment) -> None:
    psutil.Process(environment.stack.supervisor.processes()["prometheus"]["pid"]).send_signal(signal.SIGHUP)


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
    Drill(alert="ModelCostUnknown", fault="a model without a price is asked", inject=_switched(faults.NEW_MODEL)),
    Drill(alert="ModelRateLimited", fault="the model refuses every first attempt", inject=_switched(faults.RATE_LIMITED)),
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
    Drill(  # one that is only away is waited for
        alert="TelemetryDropped",
        fault="the Collector takes no spans",
        inject=_edited(
            "collector/config.yaml",
            r"(?s)(receivers:\n)(  otlp:\n.*?traces/in:\n      receivers: )\[otlp\]",
            r"\1  otlp/other: {protocols: {http: {endpoint: '127.0.0.1:0'}}}\n\2[otlp/other]",
        ),
    ),
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
        fault="no one listens where the watchdog reports",
        inject=_edited("alerts/receivers/watchdog.url", ".+", f"http://{_NOWHERE}/", program=None),
    ),
)
DRILLS: Final[Mapping[str, Drill]] = {drill.alert: drill for drill in _EVERY}

_REASON: Final = re.compile(r"^## Drill\n\nNot drilled: (.+?)\.$", re.MULTILINE | re.DOTALL)


def not_drilled() -> Mapping[str, str]:
    """Of each alert without a drill the reason, from its runbook: `Not drilled: reason.` under the heading `Drill`."""
    pages = sorted((shipped_config_dir() / "alerts" / "runbooks").glob("*.md"))
    reasons = {page.stem: _REASON.search(page.read_text(encoding="utf-8")) for page in pages}
    return {alert: " ".join(reason[1].split()) for alert, reason in reasons.items() if reason}


def run_drill(drill: Drill, environment: DrillEnvironment, on_progress: Callable[[str], None] = lambda _: None) -> Outcome:
    """Warm up, inject the fault, wait for the notification, end the fault, wait for the alert to resolve."""
    on_progress("load")
    _warm_up(environment)
    on_progress(drill.fault)
    since = datetime.now(UTC).isoformat()
    started = time.monotonic()
    with drill.inject(environment):
        detected = _seconds(started, _DETECT_SECONDS, environment, drill, "firing")
    on_progress("the fault is gone")
    ended = time.monotonic()
    resolved = _seconds(ended, _RESOLVE_SECONDS, environment, drill, "resolved") if detected is not None else None
    later = {alert["labels"]["alertname"] for alert in environment.notifications() if alert["startsAt"] > since}
    return Outcome(drill=drill, detected=detected, resolved=resolved, others=tuple(sorted(later - {drill.alert})))


def _warm_up(environment: DrillEnvironment) -> None:
    with Backends(environment.ports) as backends:
        rates = "job:http_request_duration_seconds:p95_rate2m > 0 and on (job) job:api:up == 1"
        wait_for(lambda: backends.query(rates), bool, seconds=60)
    time.sleep(_WARM_SECONDS)


def _seconds(since: float, limit: float, environment: DrillEnvironment, drill: Drill, status: str) -> float | None:
    def happened() -> bool:
        _probe(environment)
        return environment.notified(drill.alert, status, drill.labels)

    return time.monotonic() - since if wait_for(happened, bool, seconds=limit) else None


def _probe(environment: DrillEnvironment) -> None:
    """Ask for the tutor's health, as an orchestrator would all the time."""
    try:
        httpx2.get(f"http://{LOOPBACK}:{environment.ports['app']}/health", timeout=2, trust_env=False)
    except httpx2.HTTPError:
        return
