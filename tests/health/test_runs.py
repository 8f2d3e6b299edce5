"""However many ask, wherever they ask from: one run, in time."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from otel_tutor.health import HealthCheck, HealthService, HealthStatus
from tests.support.fork import in_a_fork
from tests.support.health import Hanging

HEALTHY = {"status": HealthStatus.HEALTHY}


class Answering(HealthCheck):
    """Counts its runs, and answers when it is released; by default at once."""

    def __init__(self, *, name: str = "answering", held: bool = False, **options: Any) -> None:
        super().__init__(name, **options)
        self.runs = 0
        self.held = held

    async def check(self) -> dict[str, Any]:
        self.runs += 1
        while self.held:
            await asyncio.sleep(0.001)
        return HEALTHY

    async def begun(self) -> None:
        """Return when a run is under way."""
        while not self.runs:
            await asyncio.sleep(0)


class Stubborn(HealthCheck):
    """Ignores its cancellation until it is released."""

    def __init__(self) -> None:
        super().__init__("stubborn", timeout=0.05)
        self.released = False
        self.runs = 0

    async def check(self) -> dict[str, Any]:
        self.runs += 1
        while not self.released:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)
        return HEALTHY


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


def threads_of(check: HealthCheck) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == f"health-{check.name}"]


def test_checks_run_in_parallel() -> None:
    together = asyncio.Barrier(50)

    class Meeting(HealthCheck):
        async def check(self) -> dict[str, Any]:
            await together.wait()  # for all of them: none gets on before the last has begun
            return HEALTHY

    checks = [Meeting(f"check{number}", timeout=60) for number in range(50)]

    assert asyncio.run(make_service(*checks).check_health())["status"] is HealthStatus.HEALTHY


def test_a_hundred_probes_cost_one_run_and_a_later_one_costs_none_while_the_result_is_kept() -> None:
    check = Answering()
    service = make_service(check, cache_seconds=3600)

    async def probe() -> None:
        await asyncio.gather(*(service.check_health() for _ in range(50)), *(service.check_readiness() for _ in range(50)))
        await service.check_health()

    asyncio.run(probe())
    assert check.runs == 1


def test_a_result_that_is_not_kept_costs_the_next_probe_a_run() -> None:
    check = Answering()
    service = make_service(check, cache_seconds=0)
    for _ in range(3):
        asyncio.run(service.check_health())

    assert check.runs == 3


def test_a_hung_check_answers_at_its_deadline_then_at_once_and_has_one_thread(released: threading.Event) -> None:
    check = Hanging(released, timeout=0.1)
    service = make_service(check, failure_cache_seconds=0)
    bodies = [asyncio.run(service.check_health(detailed=True)) for _ in range(5)]

    messages = [body["checks"]["hanging"]["message"] for body in bodies]
    assert messages == ["took longer than 0.1 s", *["still running: an earlier run has not come back"] * 4]
    assert len(threads_of(check)) == 1


def test_a_hundred_probes_of_a_hung_check_cost_one_thread_and_the_next_none(released: threading.Event) -> None:
    check = Hanging(released, timeout=0.1)
    service = make_service(check, failure_cache_seconds=3600)

    async def probe() -> set[bool]:
        answers = await asyncio.gather(*(service.check_readiness() for _ in range(100)))
        return {answer["ready"] for answer in [*answers, await service.check_readiness()]}

    assert asyncio.run(probe()) == {False}
    assert len(threads_of(check)) == 1


def test_a_hung_check_that_comes_back_is_run_again(released: threading.Event) -> None:
    service = make_service(Hanging(released, timeout=0.05), failure_cache_seconds=0)
    assert asyncio.run(service.check_health())["status"] is HealthStatus.UNHEALTHY
    released.set()

    deadline = time.monotonic() + 5
    while asyncio.run(service.check_health())["status"] is not HealthStatus.HEALTHY:
        assert time.monotonic() < deadline


def test_a_slow_check_that_is_not_critical_does_not_slow_readiness(released: threading.Event) -> None:
    slow = Hanging(released, critical=False, timeout=3600)

    async def probe() -> None:
        service = make_service(slow, Answering())
        assert (await service.check_readiness())["ready"] is True
        assert len(threads_of(slow)) == 1  # it still hangs
        released.set()

    asyncio.run(probe())


def test_a_check_that_ignores_its_cancellation_is_never_begun_twice() -> None:
    check = Stubborn()
    service = make_service(check, failure_cache_seconds=0)

    async def probe() -> None:
        for _ in range(3):
            assert (await service.check_health())["status"] is HealthStatus.UNHEALTHY
        check.released = True

    asyncio.run(probe())
    assert check.runs == 1


def test_a_probe_that_goes_away_takes_nothing_from_the_others() -> None:
    check = Answering(held=True, timeout=60)
    service = make_service(check)

    async def probe() -> None:
        first = asyncio.create_task(service.check_health())
        await check.begun()
        second = asyncio.create_task(service.check_health())
        await asyncio.sleep(0)
        first.cancel()
        check.held = False
        assert (await second)["status"] is HealthStatus.HEALTHY

    asyncio.run(probe())
    assert check.runs == 1


def test_probes_in_several_event_loops_share_one_run() -> None:
    check = Answering(held=True, timeout=60)
    service = make_service(check, cache_seconds=3600)
    asking = threading.Semaphore(0)

    def probe(_: int) -> HealthStatus:
        asking.release()
        return HealthStatus(asyncio.run(service.check_health())["status"])

    with ThreadPoolExecutor(4) as threads:
        answers = threads.map(probe, range(4))
        for _ in range(4):
            asking.acquire()
        check.held = False
        assert set(answers) == {HealthStatus.HEALTHY}
    assert check.runs == 1


def test_a_run_whose_event_loop_ends_is_made_again_by_the_next() -> None:
    check = Answering(held=True)
    service = make_service(check)

    async def give_up() -> None:
        asking = asyncio.create_task(service.check_health())
        await check.begun()
        asking.cancel()

    asyncio.run(give_up())
    check.held = False
    assert asyncio.run(service.check_health())["status"] is HealthStatus.HEALTHY
    assert check.runs == 2


def test_an_event_loop_that_no_longer_runs_does_not_hold_up_another() -> None:
    check = Answering(held=True, timeout=0.2)
    service = make_service(check)
    stuck = asyncio.new_event_loop()
    asking = stuck.create_task(service.check_health())
    stuck.run_until_complete(check.begun())

    assert asyncio.run(service.check_health())["status"] is HealthStatus.UNHEALTHY
    assert not asking.done()
    check.held = False
    assert stuck.run_until_complete(asking)["service"] == "tutor"
    stuck.close()


def test_a_forked_worker_inherits_the_checks_but_no_run(released: threading.Event) -> None:
    check = Hanging(released, timeout=0.05)
    service = make_service(check, failure_cache_seconds=3600)
    asyncio.run(service.check_health())
    service.start_draining()

    def in_child() -> bool:
        released.set()
        check.timeout = 60  # long enough for any machine, now that it does not hang
        return bool(asyncio.run(service.check_readiness())["ready"])

    assert in_a_fork(in_child) is True
    assert asyncio.run(service.check_readiness())["ready"] is False
