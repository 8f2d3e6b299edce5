"""Every series arrives under the name, type and labels that users count on; adding one is a line."""

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.sync.client import connect

from otel_tutor.catalogue import CATALOGUE
from otel_tutor.naming import read_naming
from otel_tutor.tools.exercise.load import run_load
from otel_tutor.tools.reference import OTHERS
from otel_tutor.tools.stack.polling import wait_for
from tests.support.stack import Running

CONTRACT = {
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
    "student_questions_total": ("counter", {"subject", "topic"}),
    "student_sessions_active": ("gauge", set[str]()),
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
    "system_disk_limit_bytes": ("gauge", {"path"}),
    "event_loop_lag_seconds": ("histogram", set[str]()),
    "health_check_status": ("gauge", {"check"}),
    "health_check_duration_seconds": ("gauge", {"check"}),
    "health_status": ("gauge", set[str]()),
    "process_uptime_seconds": ("gauge", set[str]()),
    "gen_ai_client_operation_duration_seconds": ("histogram", {"model_name", "quantization_type", "status"}),
    "gen_ai_client_token_usage": ("histogram", {"model_name", "type"}),
    "db_client_operation_duration_seconds": ("histogram", {"operation", "status"}),
    "db_client_connections": ("gauge", {"pool", "state"}),
    "db_client_connections_max": ("gauge", {"pool"}),
    "gen_ai_client_operation_time_to_first_chunk_seconds": ("histogram", {"model_name"}),
    "db_client_connection_wait_seconds": ("histogram", {"pool"}),
    "http_response_time_to_first_byte_seconds": ("histogram", {"method", "endpoint"}),
    "http_request_bytes_total": ("counter", {"method", "endpoint"}),
    "http_response_bytes_total": ("counter", {"method", "endpoint"}),
    "websocket_connection_duration_seconds": ("histogram", {"endpoint"}),
    "websocket_connections_active": ("gauge", {"endpoint"}),
    "websocket_messages_total": ("counter", {"endpoint", "direction"}),
    "telemetry_attribute_folded_total": ("counter", {"attribute"}),
    "student_practice_answers_total": ("counter", {"subject", "correct"}),
}


@pytest.fixture(scope="module")
def metadata(running: Running) -> dict[str, Any]:
    """What Prometheus knows of each family, once all of them were scraped."""
    asyncio.run(run_load(running.app, requests=60))
    httpx2.get(f"{running.app}/no/such/page")
    with connect(running.app.replace("http", "ws") + "/live") as live:
        live.send("Why does a steel ship float?")
        assert "answer" in json.loads(live.recv())

    def read() -> dict[str, Any]:
        answer: dict[str, Any] = httpx2.get(f"{running.backends.prometheus}/api/v1/metadata").json()["data"]
        return answer

    complete: Callable[[dict[str, Any]], bool] = lambda seen: all(family(name) in seen for name in CONTRACT)  # noqa: E731
    return wait_for(read, complete, seconds=30)


def family(name: str) -> str:
    """OpenMetrics names a counter's family without its suffix."""
    return name.removesuffix("_total") if CONTRACT[name][0] == "counter" else name


@pytest.mark.parametrize("name", CONTRACT)
def test_a_series_has_its_name_type_meaning_and_labels(running: Running, metadata: dict[str, Any], name: str) -> None:
    kind, labels = CONTRACT[name]
    (described,) = metadata[family(name)]
    series = f"{name}_bucket" if kind == "histogram" else name
    samples = running.backends.query(series)

    assert described["type"] == kind
    assert described["help"]
    expected = labels | {"__name__", "job", "instance"} | ({"le"} if kind == "histogram" else set())
    assert [sorted(sample.labels) for sample in samples] == [sorted(expected)] * len(samples)
    assert samples


def test_every_instrument_of_the_catalogue_is_among_them(metadata: dict[str, Any]) -> None:
    described = {entry["help"] for entries in metadata.values() for entry in entries}

    assert {row.description for row in CATALOGUE} <= described


def test_the_naming_file_read_alone_says_the_same(repository: Path) -> None:
    families = read_naming(repository / "collector" / "naming.yaml")
    series = {family.name: (family.type, set(family.labels)) for family in families}

    assert series == CONTRACT


def test_the_reference_has_every_family_there_is_with_its_labels(running: Running, metadata: dict[str, Any]) -> None:
    listed = {name: labels for name, (_, labels) in CONTRACT.items()} | {other.name: set(other.labels) for other in OTHERS}
    seen: dict[str, set[str]] = {}
    for sample in running.backends.query('{job="tutor",__name__!~"ALERTS.*|.*:.*"}'):  # not what rules record
        name = re.sub("_(bucket|sum|count)$", "", sample.labels["__name__"])
        name = name if name in listed else sample.labels["__name__"]
        seen.setdefault(name, set()).update(sample.labels.keys() - {"__name__", "job", "instance", "le"})

    assert seen.pop("target_info")
    assert {name for name in seen if name not in listed} == set()
    assert {name: labels for name, labels in seen.items() if labels - {"error_type"} != listed[name]} == {}


def test_an_app_shows_fifty_families_and_more_each_with_a_meaning(running: Running, metadata: dict[str, Any]) -> None:
    names = {sample.labels["__name__"] for sample in running.backends.query('{job="tutor"}')}
    described = {
        name for name, (entry, *_) in metadata.items() if entry["help"] and any(series.startswith(name) for series in names)
    }

    assert len(described) >= 50, sorted(described)


def test_a_path_that_is_not_served_is_one_endpoint(running: Running, metadata: dict[str, Any]) -> None:
    def count() -> float:
        samples = running.backends.query('http_requests_total{endpoint="unmatched",status="404"}')
        return sum(sample.value for sample in samples)

    assert wait_for(count, lambda seen: seen == 1, seconds=30) == 1


def test_sessions_that_ended_are_not_active(running: Running, metadata: dict[str, Any]) -> None:
    def active() -> float:
        return sum(sample.value for sample in running.backends.query("student_sessions_active"))

    assert wait_for(active, lambda seen: seen == 0, seconds=30) == 0
