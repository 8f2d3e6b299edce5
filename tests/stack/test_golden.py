"""Buckets made by the Collector beside those the SDK would have made, for a hundred random distributions."""

import bisect
import math
import random
from collections import defaultdict

import pytest
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import Aggregation
from opentelemetry.sdk.resources import Resource

from otel_tutor.pipeline.histogram import SteadyExponentialHistogram
from otel_tutor.tools.stack.backends import wait_for
from tests.support.stack import Running

DISTRIBUTIONS, WINDOWS, EACH = 100, 3, 60
BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0]  # of rag_retrieval_duration_seconds
WIDTH = 2 ** (1 / 16)  # of one exponential bucket

Buckets = dict[str, dict[float, int]]


def window(distribution: int, number: int) -> list[float]:
    """Values of one window; each window reaches further than the one before, so that ranges grow to ten decades."""
    chance = random.Random(f"{distribution}/{number}")
    centre, spread = random.Random(distribution).uniform(-9, 2), 0.2 + distribution % 7 / 3
    zeros = distribution % 5 / 10
    return [0.0 if chance.random() < zeros else chance.lognormvariate(centre + number, spread) for _ in range(EACH)]


def provider(endpoint: str, aggregation: dict[type, Aggregation]) -> MeterProvider:
    exporter = OTLPMetricExporter(endpoint=endpoint, preferred_aggregation=aggregation)
    resource = Resource({"service.name": "golden", "service.instance.id": "golden"})
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    return MeterProvider([reader], resource=resource, shutdown_on_exit=False)


def read(running: Running, series: str) -> Buckets:
    found: Buckets = defaultdict(dict)
    for sample in running.backends.query(f'{series}_bucket{{job="golden"}}'):
        found[sample.labels["subject"]][float(sample.labels["le"])] = int(sample.value)
    return found


@pytest.fixture(scope="module")
def both(running: Running) -> tuple[Buckets, Buckets]:
    """Cumulative counts by distribution and bound: converted by the Collector, and explicit in the SDK."""
    converted = provider(running.otlp, {Histogram: SteadyExponentialHistogram()})
    explicit = provider(running.otlp, {})
    ours = converted.get_meter("test").create_histogram("rag.retrieval.duration", unit="s")
    theirs = explicit.get_meter("test").create_histogram(
        "golden.explicit", unit="s", explicit_bucket_boundaries_advisory=BOUNDS
    )
    for number in range(WINDOWS):
        for distribution in range(DISTRIBUTIONS):
            for value in window(distribution, number):
                ours.record(value, {"tutor.subject": str(distribution), "tutor.outcome": "success"})
                theirs.record(value, {"tutor.subject": str(distribution)})
        converted.force_flush()
        explicit.force_flush()
        total = DISTRIBUTIONS * EACH * (number + 1)  # each window is scraped before the next, so that a decrease would show
        for series in ("rag_retrieval_duration_seconds", "golden_explicit_seconds"):
            counted = lambda name=series: sum(buckets.get(math.inf, 0) for buckets in read(running, name).values())  # noqa: E731
            assert wait_for(counted, lambda seen, total=total: seen == total, seconds=30) == total  # type: ignore[misc]  # a default
    return read(running, "rag_retrieval_duration_seconds"), read(running, "golden_explicit_seconds")


def test_both_agree_within_one_exponential_bucket(both: tuple[Buckets, Buckets]) -> None:
    converted, explicit = both
    assert len(converted) == len(explicit) == DISTRIBUTIONS
    for distribution in range(DISTRIBUTIONS):
        values = sorted(value for number in range(WINDOWS) for value in window(distribution, number))
        for bound in BOUNDS:
            assert explicit[str(distribution)][bound] == bisect.bisect(values, bound)
            fewest, most = bisect.bisect(values, bound / WIDTH), bisect.bisect(values, bound * WIDTH)
            assert fewest <= converted[str(distribution)][bound] <= most, (distribution, bound)


@pytest.mark.usefixtures("both")
def test_no_bucket_ever_decreased(running: Running) -> None:
    (resets,) = running.backends.query('max(resets(rag_retrieval_duration_seconds_bucket{job="golden"}[15m]))')

    assert resets.value == 0
