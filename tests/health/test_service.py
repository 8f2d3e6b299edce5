"""What a service says of itself, from what its checks found."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from starlette.applications import Starlette

import otel_tutor
from otel_tutor.errors import ConfigurationError
from otel_tutor.health import DatabaseCheck, HealthCheck, HealthService, HealthStatus
from otel_tutor.testing import Capture

HEALTHY = {"status": HealthStatus.HEALTHY, "message": "good", "details": {"answer": 42}}


class Answering(HealthCheck):
    """Answers what a function returns; counts its runs."""

    def __init__(self, answer: Callable[[], Any] = lambda: HEALTHY, *, name: str = "answering", **options: Any) -> None:
        super().__init__(name, **options)
        self.answer = answer
        self.runs = 0

    async def check(self) -> Any:
        self.runs += 1
        await asyncio.sleep(0.02)
        return self.answer()


def make_service(*checks: HealthCheck, **options: Any) -> HealthService:
    service = HealthService(**options)
    for check in checks:
        service.register(check)
    return service


def fail() -> Any:
    raise RuntimeError("no row for ada@example.org")


def test_a_report_says_who_is_how_and_when() -> None:
    service = make_service(Answering(), service="essay-tutor", version="2.0")
    body = asyncio.run(service.check_health())

    assert list(body) == ["status", "timestamp", "service", "version", "checks"]
    assert (body["status"], body["service"], body["version"]) == (HealthStatus.HEALTHY, "essay-tutor", "2.0")
    assert body["checks"] == {"answering": {"status": "healthy", "critical": True}}
    assert datetime.fromisoformat(body["timestamp"]).utcoffset() == timedelta(0)


def test_a_detailed_report_says_what_was_found() -> None:
    body = asyncio.run(make_service(Answering()).check_health(detailed=True))
    check = body["checks"]["answering"]

    assert body["version"] == otel_tutor.__version__
    assert (check["message"], check["details"]) == ("good", {"answer": 42})
    assert check["duration_seconds"] > 0


@pytest.mark.parametrize(
    ("status", "critical", "overall", "ready"),
    [
        (HealthStatus.UNHEALTHY, True, HealthStatus.UNHEALTHY, False),
        (HealthStatus.UNHEALTHY, False, HealthStatus.DEGRADED, True),
        (HealthStatus.DEGRADED, True, HealthStatus.DEGRADED, True),
        ("healthy", True, HealthStatus.HEALTHY, True),
    ],
)
def test_the_worst_check_decides_by_whether_it_is_critical(
    status: str, critical: bool, overall: HealthStatus, ready: bool
) -> None:
    service = make_service(Answering(), Answering(lambda: {"status": status}, name="other", critical=critical))

    assert asyncio.run(service.check_health())["status"] is overall
    assert asyncio.run(service.check_readiness())["ready"] is ready


@pytest.mark.parametrize("answer", [None, {}, {"status": "fine"}, {"status": "healthy", "details": 1}, {"status": []}])
def test_an_answer_that_cannot_be_read_is_a_failure(answer: object) -> None:
    body = asyncio.run(make_service(Answering(lambda: answer)).check_health(detailed=True))

    assert body["status"] is HealthStatus.UNHEALTHY


def test_of_an_exception_only_its_class_is_shown_and_only_in_detail() -> None:
    carried = {"status": HealthStatus.UNHEALTHY, "details": {"cause": ValueError("ada@example.org")}}
    service = make_service(Answering(fail), Answering(lambda: carried, name="carrying"))
    brief, detailed = (asyncio.run(service.check_health(detailed=wanted)) for wanted in (False, True))

    assert "RuntimeError" not in str(brief)
    assert detailed["checks"]["answering"]["error"] == "RuntimeError"
    assert detailed["checks"]["carrying"]["details"] == {"cause": "ValueError"}
    assert "ada@example.org" not in f"{brief} {detailed}"


def test_a_failure_is_forgotten_sooner_than_a_success() -> None:
    answers = [None, HEALTHY]
    service = make_service(Answering(lambda: answers.pop(0)), cache_seconds=60, failure_cache_seconds=0)

    assert asyncio.run(service.check_health())["status"] is HealthStatus.UNHEALTHY
    assert asyncio.run(service.check_health())["status"] is HealthStatus.HEALTHY
    assert asyncio.run(service.check_health())["status"] is HealthStatus.HEALTHY


def test_a_check_registered_later_is_in_the_next_report() -> None:
    service = make_service(Answering(), cache_seconds=60)
    asyncio.run(service.check_health())
    service.register(Answering(name="later"))

    assert list(asyncio.run(service.check_health())["checks"]) == ["answering", "later"]
    service.unregister("later")
    assert list(asyncio.run(service.check_health())["checks"]) == ["answering"]


def test_a_service_that_drains_is_not_ready_and_runs_no_check() -> None:
    check = Answering()
    service = make_service(check)
    service.start_draining()

    assert asyncio.run(service.check_readiness())["ready"] is False
    assert asyncio.run(service.check_liveness())["alive"] is True
    assert check.runs == 0


def test_liveness_touches_no_dependency() -> None:
    check = Answering(fail)
    body = asyncio.run(make_service(check).check_liveness())

    assert list(body) == ["alive", "timestamp", "uptime_seconds"]
    assert (body["alive"], check.runs) == (True, 0)
    assert body["uptime_seconds"] >= 0


def test_observations_are_those_of_the_last_run_and_run_nothing() -> None:
    check = Answering(fail, critical=False)
    service = make_service(Answering(name="good"), check)
    before = service.observations()
    asyncio.run(service.check_health())
    after = service.observations()

    assert (before.checks, before.status) == ((), None)
    assert [(observed.name, observed.status) for observed in after.checks] == [("good", 1.0), ("answering", 0.0)]
    assert (after.status, check.runs) == (0.5, 1)
    assert min(observed.duration for observed in after.checks) > 0
    assert after.uptime_seconds > 0


def test_a_name_can_be_taken_once() -> None:
    service = make_service(Answering())

    with pytest.raises(ConfigurationError, match="'answering' is registered"):
        service.register(Answering())


@pytest.mark.parametrize("check", [None, Answering, object.__new__(Answering)])
def test_only_a_finished_check_can_be_registered(check: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"super\(\).__init__"):
        HealthService().register(check)


def test_a_service_without_checks_is_healthy() -> None:
    service = HealthService()

    assert asyncio.run(service.check_health())["status"] is HealthStatus.HEALTHY
    assert asyncio.run(service.check_readiness())["ready"] is True


def test_a_probe_leaves_no_span_of_what_it_checks(captured: Capture, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'tutor.db'}")
    otel_tutor.configure(Starlette(), engine=engine)
    service = make_service(DatabaseCheck(engine), cache_seconds=0)
    captured.clear()
    assert asyncio.run(service.check_health())["status"] is HealthStatus.HEALTHY

    assert captured.spans == []
    engine.dispose()
