"""Counts are exact: with two workers, and with the Collector killed while students ask."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import psutil
import pytest

from otel_tutor.tools.exercise.load import LoadResult, run_load
from otel_tutor.tools.exercise.report import read_report
from otel_tutor.tools.stack.polling import wait_for
from tests.support.stack import Running

Requests = Mapping[tuple[str, str, int], int]


def added(before: Requests, after: Requests) -> Requests:
    return {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key, 0)}


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
