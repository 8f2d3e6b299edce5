"""Health checks and probes in trio's event loop, and in one that runs already."""

import asyncio
import functools
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
import trio
from starlette.applications import Starlette
from starlette.testclient import TestClient

from otel_tutor.health import HealthCheck, HealthService, HealthStatus, drain_on_sigterm, health_routes
from otel_tutor.testing import Capture
from tests.support.health import Hanging

HEALTHY = {"status": HealthStatus.HEALTHY}


class Answering(HealthCheck):
    """Counts its runs, and answers after some steps of trio's."""

    def __init__(self, name: str = "answering", **options: Any) -> None:
        super().__init__(name, **options)
        self.runs = 0

    async def check(self) -> dict[str, Any]:
        self.runs += 1
        await trio.sleep(0)
        return HEALTHY


class Waiting(HealthCheck):
    """Does not answer before its deadline."""

    async def check(self) -> dict[str, Any]:
        await trio.sleep_forever()
        return HEALTHY


class Raising(HealthCheck):
    def __init__(self, error: BaseException) -> None:
        super().__init__(type(error).__name__)
        self.error = error

    async def check(self) -> dict[str, Any]:
        raise self.error


@pytest.fixture
def released() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def make_service(*checks: HealthCheck, **options: Any) -> HealthService:
    service = HealthService(**options)
    for check in checks:
        service.register(check)
    return service


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_endpoints_answer_in_either_event_loop(backend: Any, released: threading.Event) -> None:
    released.set()
    service = make_service(Hanging(released))
    if backend == "trio":
        service.register(Answering())
    with TestClient(Starlette(routes=health_routes(service)), backend=backend) as client:
        assert [client.get(path).status_code for path in ("/health", "/health/ready", "/health/live")] == [200] * 3


def test_many_probes_in_trio_cost_one_run() -> None:
    check = Answering()
    service = make_service(check, cache_seconds=3600)

    async def probe() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(service.check_health)
                nursery.start_soon(service.check_readiness)

    trio.run(probe)
    assert check.runs == 1


def test_a_check_in_trio_that_takes_too_long_is_a_failed_check(released: threading.Event) -> None:
    service = make_service(Waiting("waiting", timeout=0.05), Hanging(released, timeout=0.05), failure_cache_seconds=0)

    async def probe() -> list[str]:
        bodies = [await service.check_health(detailed=True) for _ in range(2)]
        return [body["checks"][name]["message"] for name in ("waiting", "hanging") for body in bodies]

    late = "took longer than 0.05 s"
    assert trio.run(probe) == [late, late, late, "still running: an earlier run has not come back"]


def test_a_slow_check_in_trio_that_is_not_critical_does_not_slow_readiness(released: threading.Event) -> None:
    service = make_service(Hanging(released, critical=False, timeout=3600), Answering())

    async def probe() -> bool:
        with trio.fail_after(60):
            ready = (await service.check_readiness())["ready"]
        released.set()
        return bool(ready)

    assert trio.run(probe) is True


def test_a_probe_in_trio_that_goes_away_takes_nothing_from_the_others() -> None:
    check = Answering()
    service = make_service(check)

    async def probe() -> HealthStatus:
        with trio.CancelScope() as scope:
            scope.cancel()
            await service.check_health()
        return HealthStatus((await service.check_health())["status"])

    assert trio.run(probe) is HealthStatus.HEALTHY
    assert check.runs == 1


def test_a_run_whose_trio_ends_is_made_again_by_the_next() -> None:
    service = make_service(Waiting("waiting", timeout=0.2), failure_cache_seconds=0)

    async def give_up() -> None:
        with trio.move_on_after(0.01):
            await service.check_health()

    trio.run(give_up)
    assert trio.run(service.check_health)["status"] is HealthStatus.UNHEALTHY


def test_probes_of_both_kinds_of_event_loops_share_one_run(released: threading.Event) -> None:
    service = make_service(Hanging(released, timeout=60), cache_seconds=3600)
    asking = threading.Semaphore(0)

    async def probe() -> None:
        asking.release()
        assert (await service.check_health())["status"] is HealthStatus.HEALTHY

    threads = [threading.Thread(target=trio.run, args=(probe,)), threading.Thread(target=lambda: asyncio.run(probe()))]
    for thread in threads:
        thread.start()
        asking.acquire()
    released.set()
    for thread in threads:
        thread.join(60)
    assert [thread.is_alive() for thread in threads] == [False, False]


class OwnError(BaseException):
    """What no handler of exceptions catches."""


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), OwnError(), GeneratorExit(), ValueError()])
@pytest.mark.parametrize("run", [trio.run, lambda function: asyncio.run(function())], ids=["trio", "asyncio"])
def test_whatever_a_check_raises_is_a_failed_check(
    error: BaseException, run: Callable[[Callable[[], Coroutine[Any, Any, Any]]], dict[str, Any]]
) -> None:
    service = make_service(Raising(error))
    body = run(functools.partial(service.check_health, detailed=True))

    assert body["status"] is HealthStatus.UNHEALTHY
    assert body["checks"][type(error).__name__]["error"] == type(error).__name__


def test_a_signal_in_trio_waits_for_the_delay_and_goes_on() -> None:
    received = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: received.set())

    async def end() -> None:
        assert drain_on_sigterm(HealthService(), delay=0.05)
        signal.raise_signal(signal.SIGTERM)
        assert not received.is_set()
        with trio.fail_after(60):
            while not received.is_set():
                await trio.sleep(0.001)

    try:
        trio.run(end)
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("run", [trio.run, lambda function: asyncio.run(function())], ids=["trio", "asyncio"])
def test_the_test_kit_answers_inside_a_running_event_loop(captured: Capture, run: Callable[[Any], str]) -> None:
    """As in an async test, and in a notebook."""

    async def look() -> str:
        return str(captured.health()["status"])

    assert run(look) in list(HealthStatus)
