"""Every series arrives under the name, type and labels that users count on."""

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import httpx2
import pytest
from websockets.sync.client import connect

from otel_tutor.naming import Series, all_series
from otel_tutor.settings import shipped_config_dir
from otel_tutor.tools.exercise.load import run_load
from otel_tutor.tools.naming import read_naming
from otel_tutor.tools.reference import OTHERS, Other
from otel_tutor.tools.stack.backends import Sample
from otel_tutor.tools.stack.polling import wait_for
from tests.support.catalogue import record_every_instrument
from tests.support.stack import Running

ARRIVAL = 120  # seconds; a machine may be busy
# What users were promised: the tutor has to show these, whatever the catalogue and naming.yaml say.
PROMISED = {
    "http_requests_total": ("counter", {"method", "endpoint", "status"}),
    "http_request_duration_seconds": ("histogram", {"method", "endpoint"}),
    "http_requests_in_progress": ("gauge", {"method", "endpoint"}),
    "rag_queries_total": ("counter", {"subject", "status"}),
    "rag_retrieval_duration_seconds": ("histogram", {"subject"}),
    "rag_context_documents": ("histogram", {"subject"}),
    "rag_generation_duration_seconds": ("histogram", {"subject"}),
    "model_inference_duration_seconds": ("histogram", {"model_name", "quantization_type"}),
    "model_inference_total": ("counter", {"model_name", "quantization_type", "status"}),
    "model_token_count": ("histogram", {"model_name", "type"}),
    "model_memory_usage_bytes": ("gauge", {"model_name"}),
    "sync_queue_size": ("gauge", set[str]()),
    "sync_operations_total": ("counter", {"status"}),
    "sync_duration_seconds": ("histogram", set[str]()),
    "sync_records_processed_total": ("counter", {"record_type"}),
    "vector_store_documents_total": ("gauge", {"collection"}),
    "vector_store_search_duration_seconds": ("histogram", {"collection"}),
    "vector_store_search_total": ("counter", {"collection", "status"}),
    "system_cpu_usage_percent": ("gauge", set[str]()),
    "system_memory_usage_bytes": ("gauge", set[str]()),
    "system_disk_usage_bytes": ("gauge", {"path"}),
    "student_questions_total": ("counter", {"subject", "topic"}),
    "student_sessions_active": ("gauge", set[str]()),
    "student_practice_answers_total": ("counter", {"subject", "correct"}),
}
SERIES = {series.name: series for series in all_series()}


@pytest.fixture(scope="module")
def metadata(running: Running) -> dict[str, Any]:
    """What Prometheus knows of each family, once the tutor's and the catalogue's have been scraped."""
    asyncio.run(run_load(running.app, requests=60))
    httpx2.get(f"{running.app}/no/such/page")
    with connect(running.app.replace("http", "ws") + "/live") as live:
        live.send("Why does a steel ship float?")
        assert "answer" in json.loads(live.recv())
    record_every_instrument(running.otlp)

    def read() -> dict[str, Any]:
        answer: dict[str, Any] = httpx2.get(f"{running.backends.prometheus}/api/v1/metadata").json()["data"]
        return answer

    complete: Callable[[dict[str, Any]], bool] = lambda seen: seen.keys() >= SERIES.keys()  # noqa: E731
    return wait_for(read, complete, seconds=ARRIVAL)


def shown(running: Running, job: str, name: str) -> Sequence[Sample]:
    """The samples of a service's series, once there are any."""
    series = f"{name}_bucket" if SERIES[name].type == "histogram" else name
    return wait_for(lambda: running.backends.query(f'{series}{{job="{job}"}}'), bool, seconds=ARRIVAL)


def labels(samples: Sequence[Sample]) -> set[frozenset[str]]:
    return {frozenset(sample.labels) - {"__name__", "job", "instance", "le"} for sample in samples}


@pytest.mark.parametrize("name", PROMISED)
def test_the_tutor_shows_what_was_promised(running: Running, metadata: dict[str, Any], name: str) -> None:
    (described,) = metadata[name]
    kind, expected = PROMISED[name]

    assert described["type"] == kind
    assert labels(shown(running, "tutor", name)) == {frozenset(expected)}


@pytest.mark.parametrize("name", SERIES)
def test_every_series_of_the_catalogue_arrives_as_it_is_listed(
    running: Running, metadata: dict[str, Any], name: str
) -> None:
    (described,) = metadata[name]
    series, samples = SERIES[name], shown(running, "catalogue", name)

    assert (described["type"], described["help"]) == (series.type, series.meaning)
    assert labels(samples) == {frozenset(series.labels)}
    if series.type == "histogram":
        assert {float(sample.labels["le"]) for sample in samples} == {*series.buckets, float("inf")}


def test_the_table_of_series_is_that_of_the_naming_file() -> None:
    assert list(SERIES) == [series.name for series in read_naming(shipped_config_dir())]


def test_the_reference_has_every_family_there_is_with_its_labels(running: Running, metadata: dict[str, Any]) -> None:
    families: list[Series | Other] = [*all_series(), *OTHERS]
    listed = {series.name: set(series.labels) for series in families}
    seen: dict[str, set[str]] = {}
    for sample in running.backends.query('{job="tutor",__name__!~"ALERTS.*|.*:.*"}'):  # not what rules record
        name = re.sub("_(bucket|sum|count)$", "", sample.labels["__name__"])
        name = name if name in listed else sample.labels["__name__"]
        seen.setdefault(name, set()).update(sample.labels.keys() - {"__name__", "job", "instance", "le"})

    assert seen.pop("target_info")
    assert {name for name in seen if name not in listed} == set()
    assert {name: labels for name, labels in seen.items() if labels - {"error_type"} != listed[name]} == {}


@pytest.mark.usefixtures("metadata")  # for its load
def test_an_app_shows_fifty_families_and_more_each_with_a_meaning(running: Running) -> None:
    def described() -> set[str]:
        known = httpx2.get(f"{running.backends.prometheus}/api/v1/metadata").json()["data"]
        documented = [name for name, (entry, *_) in known.items() if entry["help"]]
        names = {sample.labels["__name__"] for sample in running.backends.query('{job="tutor"}')}
        return {name for name in documented if any(series.startswith(name) for series in names)}

    families = wait_for(described, lambda families: len(families) >= 50, seconds=ARRIVAL)
    assert len(families) >= 50, sorted(families)


def test_a_path_that_is_not_served_is_one_endpoint(running: Running, metadata: dict[str, Any]) -> None:
    def count() -> float:
        samples = running.backends.query('http_requests_total{endpoint="unmatched",status="404"}')
        return sum(sample.value for sample in samples)

    assert wait_for(count, lambda seen: seen == 1, seconds=ARRIVAL) == 1


def test_sessions_that_ended_are_not_active(running: Running, metadata: dict[str, Any]) -> None:
    def active() -> float:
        return sum(sample.value for sample in running.backends.query('student_sessions_active{job="tutor"}'))

    assert wait_for(active, lambda seen: seen == 0, seconds=ARRIVAL) == 0
