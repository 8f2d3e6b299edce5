"""Buckets made by the Collector, held against the raw values they were made of."""

import bisect
import math
import random
import statistics
from collections.abc import Callable

import pytest
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from otel_tutor.pipeline.histogram import SteadyExponentialHistogram
from otel_tutor.tools.stack.backends import wait_for
from tests.support.stack import Running

NAME, SERIES = "rag.retrieval.duration", "rag_retrieval_duration_seconds"
BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0]
WIDTH = 2 ** (1 / 16)  # of one exponential bucket

DISTRIBUTIONS: dict[str, Callable[[random.Random], float]] = {
    "inside the bounds": lambda chance: chance.lognormvariate(-2.5, 0.8),
    "below the first bound": lambda chance: chance.uniform(1e-5, 0.004),
    "above the last bound": lambda chance: chance.uniform(6, 900),
    "zeros among others": lambda chance: chance.choice([0.0, 0.0, chance.expovariate(5)]),
    "zeros only": lambda _: 0.0,
    "everywhere": lambda chance: 10 ** chance.uniform(-4, 3),
    "on the bounds": lambda chance: chance.choice(BOUNDS),
}


def values_of(title: str) -> list[float]:
    chance = random.Random(title)
    return [DISTRIBUTIONS[title](chance) for _ in range(2000)]


def send(endpoint: str, service: str, windows: list[list[float]]) -> None:
    """Record and export the windows one after the other, as one instance of that service would over time."""
    exporter = OTLPMetricExporter(endpoint=endpoint, preferred_aggregation={Histogram: SteadyExponentialHistogram()})
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    resource = Resource({"service.name": service, "service.instance.id": service})
    provider = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
    histogram = provider.get_meter("test").create_histogram(NAME, unit="s")
    for window in windows:
        for value in window:
            histogram.record(value, {"tutor.subject": "s", "tutor.outcome": "success"})
        provider.force_flush()
    provider.shutdown()


@pytest.fixture(scope="module")
def buckets(running: Running) -> dict[str, dict[float, int]]:
    """Cumulative counts by bound of each distribution, once all of its values have arrived in Prometheus."""
    for title in DISTRIBUTIONS:
        values = values_of(title)
        send(running.otlp, title, [values[:1000], [], values[1000:]])

    def read() -> dict[str, dict[float, int]]:
        found: dict[str, dict[float, int]] = {title: {} for title in DISTRIBUTIONS}
        for sample in running.backends.query(f"{SERIES}_bucket"):
            found[sample.labels["job"]][float(sample.labels["le"])] = int(sample.value)
        return found

    return wait_for(read, lambda found: all(counts.get(math.inf) == 2000 for counts in found.values()), seconds=30)


@pytest.mark.parametrize("title", DISTRIBUTIONS)
def test_cumulative_counts_are_true_within_one_exponential_bucket(buckets: dict[str, dict[float, int]], title: str) -> None:
    values, found = sorted(values_of(title)), buckets[title]

    assert sorted(found) == [*BOUNDS, math.inf]
    for bound in BOUNDS:
        fewest, most = bisect.bisect(values, bound / WIDTH), bisect.bisect(values, bound * WIDTH)
        assert fewest <= found[bound] <= most, bound
    assert found[math.inf] == len(values)


@pytest.mark.parametrize("title", DISTRIBUTIONS)
@pytest.mark.parametrize("percent", [50, 95, 99])
@pytest.mark.usefixtures("buckets")
def test_percentiles_are_true_within_one_bucket(running: Running, title: str, percent: int) -> None:
    (sample,) = running.backends.query(f'histogram_quantile({percent / 100}, {SERIES}_bucket{{job="{title}"}})')
    true = statistics.quantiles(values_of(title), n=100, method="inclusive")[percent - 1]

    place = bisect.bisect_left(BOUNDS, true)
    lower, upper = [0.0, *BOUNDS][place], [*BOUNDS, BOUNDS[-1]][place]  # beyond the last bound, the last bound is the answer
    assert lower / WIDTH <= sample.value <= upper * WIDTH
