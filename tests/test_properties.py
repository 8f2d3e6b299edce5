"""Whatever a recording call is given, it raises nothing, counts, makes finite values and a bounded number of series.

The calls are made past the guard that keeps failures from an app: here a failure is a failure. The counts are compared over
2,000 calls, or as many as `OTEL_TUTOR_TEST_CALLS` says.
"""

import math
import os
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_tutor.catalogue import SUBJECT, TOPIC
from otel_tutor.monitoring import MetricsCollector, metrics_collector
from otel_tutor.recording.instruments import OTHER
from otel_tutor.testing import Capture
from tests.support.hostile import HOSTILE, Drawn, real

ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=2**60),
    st.floats(),
    st.text(),
    st.text(st.characters(categories=["Cs"])),
    st.binary(),
    st.lists(st.integers(), max_size=2),
    st.just("x" * 100_000),
    st.builds(object),
    st.decimals(),
    st.fractions(),
    st.sampled_from([np.float32(0.5), np.int64(3), np.float64("nan"), np.bool_(True), np.array([1, 2])]),
    st.sampled_from(sorted(HOSTILE)).map(Drawn),
)
CALLS = {
    "track_rag_query": 5,
    "track_model_inference": 6,
    "track_student_activity": 2,
    "track_practice_answer": 2,
    "track_sync": 3,
    "track_vector_search": 3,
    "set_active_sessions": 1,
    "set_model_memory": 2,
    "set_sync_queue_size": 1,
    "set_vector_documents": 2,
}
COUNTED = {
    "track_rag_query": "rag_queries_total",
    "track_model_inference": "model_inference_total",
    "track_sync": "sync_operations_total",
    "track_vector_search": "vector_store_search_total",
}

BATCH = 50  # calls that one example makes

fixture_is_shared = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def is_sendable(number: float) -> bool:
    """Whether OTLP has a place for it: a finite double or a 64-bit integer."""
    return math.isfinite(number) and (isinstance(number, float) or abs(number) < 2**63)


def call(name: str, arguments: Any) -> None:
    getattr(MetricsCollector, name).__wrapped__(metrics_collector, *map(real, arguments))


@pytest.mark.parametrize("name", CALLS)
@given(data=st.data())
@fixture_is_shared
def test_a_call_takes_anything(captured: Capture, name: str, data: st.DataObject) -> None:
    call(name, data.draw(st.tuples(*[ANYTHING] * CALLS[name])))

    for points in captured.read_metrics().values():
        for point in points:
            assert all(is_sendable(number) for number in (point.value, point.sum, point.count) if number is not None)
            assert all(0 < len(str(value).encode()) <= 400 for value in point.attributes.values())


@given(data=st.data())
@settings(
    max_examples=int(os.environ.get("OTEL_TUTOR_TEST_CALLS", "2000")) // BATCH,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_what_is_counted_is_the_number_of_calls(captured: Capture, data: st.DataObject) -> None:
    captured.reset()
    words = data.draw(st.lists(ANYTHING, min_size=BATCH, max_size=BATCH))
    names = data.draw(st.lists(st.sampled_from(sorted(COUNTED)), min_size=BATCH, max_size=BATCH))
    for place, name in enumerate(names):
        call(name, [words[(place + shift * 7) % BATCH] for shift in range(CALLS[name])])

    assert {name: captured.value(series) for name, series in COUNTED.items()} == {
        name: names.count(name) for name in COUNTED
    }
    for histogram in ("rag_retrieval_duration_seconds", "sync_duration_seconds", "vector_store_search_duration_seconds"):
        assert captured.count(histogram) <= len(names)


@given(records=st.dictionaries(st.text(), ANYTHING, max_size=5), duration=ANYTHING, status=ANYTHING)
@fixture_is_shared
def test_a_sync_takes_anything(captured: Capture, records: dict[str, Any], duration: Any, status: Any) -> None:
    call("track_sync", (duration, status, records))

    assert all(is_sendable(point.value or 0) for point in captured.read_metrics().get("sync.records", ()))


@given(pairs=st.lists(st.tuples(st.text(), st.text()), min_size=200, max_size=400))
@settings(fixture_is_shared, max_examples=5)
def test_any_words_make_a_bounded_number_of_series(captured: Capture, pairs: list[tuple[str, str]]) -> None:
    for subject, topic in pairs:
        call("track_student_activity", (subject, topic))

    points = captured.read_metrics()["student.questions"]
    for attribute in (SUBJECT, TOPIC):
        values = {point.attributes[attribute.key] for point in points}
        assert len(values - {OTHER, *attribute.reserved}) <= attribute.limit
    assert sum(point.value or 0 for point in points) == len(pairs)
