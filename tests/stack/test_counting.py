"""Counts are exact: with two workers, and with the Collector killed while students ask."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import httpx2
import psutil
import pytest

from otel_tutor.tools.exercise.load import LoadResult, run_load
from otel_tutor.tools.exercise.report import STEPS, read_report
from otel_tutor.tools.stack.polling import wait_for
from otel_tutor.tools.stack.traces import gaps
from tests.support.stack import Running

# The request, the question, its search, its answer, its call to a model, and two statements each that read and that write.
SPANS = 9
Requests = Mapping[tuple[str, str, int], int]


def added(before: Requests, after: Requests) -> Requests:
    return {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key, 0)}


async def ask(app: str, questions: int) -> list[str]:
    """The ids of the traces of so many questions, 32 of them asked at the same time."""
    left = iter(range(questions))
    asked: list[str] = []

    async def student(client: httpx2.AsyncClient) -> None:
        for number in left:
            reply = await client.post(
                f"{app}/ask", json={"question": f"Why does a steel ship float, for the {number}th time?"}
            )
            asked.append(reply.json()["trace_id"])

    async with httpx2.AsyncClient(timeout=60, trust_env=False) as client:
        await asyncio.gather(*(student(client) for _ in range(32)))
    return asked


def workers(running: Running) -> set[str]:
    return {sample.labels["instance"] for sample in running.backends.query('http_requests_total{job="tutor"}')}


def test_two_workers_count_every_request_once(running: Running) -> None:
    sent: Counter[tuple[str, str, int]] = Counter()
    for _ in range(10):  # the kernel may give one worker every connection of a load; some loads later both have had some
        load = asyncio.run(run_load(running.app, requests=300, concurrency=16))
        sent.update(load.requests)
        load = replace(load, requests=dict(sent), questions={})
        report = read_report(running.backends, load)
        assert report.requests == sent
        if len(workers(running)) == 2:
            return
    pytest.fail("one worker answered everything")


@pytest.mark.timeout(600)
def test_under_load_every_question_is_a_whole_trace(running: Running) -> None:
    """A thousand questions at once as two workers take them, and each of their traces has all of its spans."""
    asked = asyncio.run(ask(running.app, questions=1000))
    assert len(set(asked)) == 1000

    def lacks(trace_id: str) -> list[str]:
        spans = running.backends.trace(trace_id)
        return gaps(spans, STEPS) or ([] if len(spans) == SPANS else [f"{len(spans)} of {SPANS} spans"])

    def incomplete() -> dict[str, list[str]]:
        lacking = {trace_id: lacks(trace_id) for trace_id in asked}
        asked[:] = [trace_id for trace_id in asked if lacking[trace_id]]  # those that are whole are not read again
        return {trace_id: lines for trace_id, lines in lacking.items() if lines}

    # On a busy machine Jaeger is minutes behind; the Collector keeps what waits on disk.
    assert wait_for(incomplete, lambda left: not left, seconds=300, every=2) == {}


def test_killing_the_collector_changes_no_response_and_loses_no_count(running: Running) -> None:
    before: LoadResult = asyncio.run(run_load(running.app, requests=50))
    known = read_report(running.backends, before).requests

    async def load_while_the_collector_dies() -> LoadResult:
        load = asyncio.create_task(run_load(running.app, seconds=12))
        victim = psutil.Process(running.pid("collector"))
        os.kill(victim.pid, signal.SIGKILL)
        await asyncio.to_thread(victim.wait)
        await asyncio.to_thread(wait_for, lambda: running.pid("collector"), lambda pid: pid != victim.pid, seconds=10)
        os.kill(running.pid("collector"), signal.SIGKILL)
        return await load

    load = asyncio.run(load_while_the_collector_dies())

    assert {status for _, _, status in load.requests} <= {200, 201, 204}

    def counted() -> Requests:
        samples = running.backends.query('sum by (method, endpoint, status) (http_requests_total{job="tutor"})')
        keys = ((s.labels["method"], s.labels["endpoint"], int(s.labels["status"])) for s in samples)
        totals = dict(zip(keys, (int(sample.value) for sample in samples), strict=True))
        return added(known, totals)

    assert wait_for(counted, lambda seen: seen == load.requests, seconds=40) == load.requests
