"""Every span is counted and timed, in the shape that Jaeger's Monitor tab asks Prometheus for."""

import asyncio
import functools
from typing import Any

import httpx2
import pytest

from otel_tutor.tools.exercise.load import run_load
from otel_tutor.tools.stack.backends import Sample
from otel_tutor.tools.stack.polling import wait_for
from tests.support.stack import Running


@pytest.fixture(scope="module")
def questions(running: Running) -> int:
    """So many questions were asked."""
    load = asyncio.run(run_load(running.app, requests=80))
    return sum(load.questions.values())


def test_spans_are_counted_by_name_and_outcome(running: Running, questions: int) -> None:
    expression = 'sum(traces_span_metrics_calls_total{service_name="tutor",span_name="rag.query"})'

    def counted() -> float:
        return sum(sample.value for sample in running.backends.query(expression))

    assert wait_for(counted, lambda seen: seen == questions, seconds=40) == questions


def test_durations_carry_exemplars_that_jaeger_knows(running: Running, questions: int) -> None:
    bucket = 'traces_span_metrics_duration_milliseconds_bucket{service_name="tutor"}'
    exemplars = wait_for(functools.partial(running.backends.exemplars, bucket), bool, seconds=40)

    assert exemplars
    assert [exemplar.trace_id for exemplar in exemplars if not running.backends.trace(exemplar.trace_id)] == []


def test_jaegers_monitor_tab_has_its_numbers(running: Running, questions: int) -> None:
    def calls() -> list[Any]:
        parameters = {"service": "tutor", "spanKind": "server", "lookback": "600000", "ratePer": "60000", "step": "5000"}
        answer = httpx2.get(f"{running.backends.jaeger}/api/metrics/calls", params=parameters).json()
        return [metric for metric in answer.get("metrics", ()) if metric.get("metricPoints")]

    assert wait_for(calls, bool, seconds=60)


def test_instances_are_kept_apart(running: Running, questions: int) -> None:
    samples: list[Sample] = running.backends.query('traces_span_metrics_calls_total{service_name="tutor"}')

    assert {sample.labels["job"] for sample in samples} == {"tutor"}
    assert all(sample.labels["instance"] for sample in samples)
