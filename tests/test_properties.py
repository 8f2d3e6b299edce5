"""Whatever a recording call is given, it raises nothing, makes finite values and a bounded number of series.

The calls are made past the guard that keeps failures from an app: here a failure is a failure.
"""

import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_tutor.catalogue import SUBJECT, TOPIC
from otel_tutor.monitoring import MetricsCollector, metrics_collector
from otel_tutor.testing import Capture

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
)
CALLS = {
    "track_rag_query": 5,
    "track_model_inference": 6,
    "track_student_activity": 2,
    "track_practice_answer": 2,
    "track_vector_search": 3,
    "set_active_sessions": 1,
    "set_model_memory": 2,
    "set_sync_queue_size": 1,
    "set_vector_documents": 2,
}

fixture_is_shared = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def is_sendable(number: float) -> bool:
    """Whether OTLP has a place for it: a finite double or a 64-bit integer."""
    return math.isfinite(number) and (isinstance(number, float) or abs(number) < 2**63)


def call(name: str, arguments: Any) -> None:
    getattr(MetricsCollector, name).__wrapped__(metrics_collector, *arguments)


@pytest.mark.parametrize("name", CALLS)
@given(data=st.data())
@fixture_is_shared
def test_a_call_takes_anything(captured: Capture, name: str, data: st.DataObject) -> None:
    call(name, data.draw(st.tuples(*[ANYTHING] * CALLS[name])))

    for points in captured.read_metrics().values():
        for point in points:
            assert all(is_sendable(number) for number in (point.value, point.sum, point.count) if number is not None)
            assert all(0 < len(str(value).encode()) <= 400 for value in point.attributes.values())


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
    assert len({point.attributes[SUBJECT.key] for point in points}) <= SUBJECT.limit + 1
    assert len({point.attributes[TOPIC.key] for point in points}) <= TOPIC.limit + 1
    assert sum(point.value or 0 for point in points) == len(pairs)
