"""An edit in collector/ and a restart of the Collector change what Prometheus shows; the app goes on as it was."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from otel_tutor.tools.stack.polling import wait_for
from tests.support.stack import Running


@pytest.fixture
def edit(running: Running) -> Callable[[str, str], None]:
    """Replace a piece of the running Collector's naming file and restart it."""

    def replace(old: str, new: str) -> None:
        path = Path(running.stack.data) / "config" / "collector" / "naming.yaml"
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, old
        path.write_text(text.replace(old, new), encoding="utf-8")
        running.stack.supervisor.stop_program("collector")
        running.stack.supervisor.start_program("collector")
        assert httpx2.get(f"{running.app}/subjects").status_code == 200

    return replace


def seen(running: Running, expression: str) -> bool:
    return bool(wait_for(lambda: running.backends.query(expression), bool, seconds=30))


def test_a_bucket_is_added_by_one_edit(running: Running, edit: Callable[[str, str], None]) -> None:
    edit("[0.0, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0]", "[0.0, 0.005, 0.75, 30.0]")

    assert seen(running, 'http_request_duration_seconds_bucket{job="tutor",le="0.75"}')


def test_a_family_is_renamed_by_one_edit(running: Running, edit: Callable[[str, str], None]) -> None:
    edit('set(metric.name, "db_client_connections_max")', 'set(metric.name, "database_connections_max")')

    assert seen(running, 'database_connections_max{job="tutor"}')


def test_a_family_without_an_entry_gets_a_name_by_one_line(running: Running, edit: Callable[[str, str], None]) -> None:
    connections = '- set(metric.name, "db_client_connections") where metric.name == "db.client.connection.count"\n'
    edit(
        connections, f'{connections}          - set(metric.name, "host_memory") where metric.name == "system.memory.usage"\n'
    )

    assert seen(running, 'host_memory_bytes{job="tutor"}')


def test_a_label_is_dropped_by_one_edit(running: Running, edit: Callable[[str, str], None]) -> None:
    edit(
        '- aggregate_on_attributes("sum", ["http.request.method", "http.route"])\n'
        '          - set(metric.name, "http_request_duration_seconds")',
        '- aggregate_on_attributes("sum", ["http.route"])\n          - set(metric.name, "http_request_duration_seconds")',
    )

    assert seen(running, 'http_request_duration_seconds_count{job="tutor",method="",endpoint="/subjects"}')


def test_what_could_not_be_put_into_buckets_is_noticed(running: Running, edit: Callable[[str, str], None]) -> None:
    bounds = "[0.0, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 600.0]"
    edit(f'convert_exponential_histogram_to_histogram("midpoint", {bounds})', 'set(metric.description, "left as it is")')
    program = """
from otel_tutor.monitoring import track_time
import otel_tutor
otel_tutor.configure(service_name="odd")
track_time("odd_operation")(lambda: None)()
otel_tutor.shutdown()
"""
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": running.otlp}
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, env=environment)

    assert seen(running, 'telemetry_unconverted_total{job="odd",metric="odd_operation.duration.unconverted"} == 1')
