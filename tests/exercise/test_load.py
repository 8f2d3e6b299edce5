"""The load, on a real server of two worker processes, with no Collector to be seen."""

import asyncio
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import httpx2
import pytest
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from otel_tutor.demo.settings import DATA_VARIABLE, Settings
from otel_tutor.tools.exercise.load import NO_RESPONSE, LoadResult, run_load

pytestmark = pytest.mark.processes


@pytest.fixture
def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture
def server(settings: Settings, free_port: int) -> Iterator[str]:
    command = [sys.executable, "-m", "uvicorn", "--factory", "otel_tutor.demo.app:create_app", "--workers", "2"]
    environment = {**os.environ, DATA_VARIABLE: str(settings.data), "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    with subprocess.Popen([*command, "--port", str(free_port), "--log-level", "warning"], env=environment) as process:
        try:
            wait_until_ready(f"http://127.0.0.1:{free_port}")
            yield f"http://127.0.0.1:{free_port}"
        finally:
            process.terminate()
    assert process.returncode in {0, -15}


@retry(retry=retry_if_exception_type(httpx2.TransportError), stop=stop_after_delay(60), wait=wait_fixed(0.1), reraise=True)
def wait_until_ready(url: str) -> None:
    httpx2.get(f"{url}/subjects", trust_env=False)


def load(url: str, *, seconds: float | None = None, requests: int | None = None) -> LoadResult:
    return asyncio.run(run_load(url, seconds=seconds, requests=requests, concurrency=4))


def count(settings: Settings, rows: str) -> int:
    with closing(sqlite3.connect(settings.database)) as database:
        number: int = database.execute(f"SELECT count(*) FROM {rows}").fetchone()[0]
        return number


def asked(result: LoadResult, status: int) -> int:
    return sum(result.requests.get(("POST", route, status), 0) for route in ("/ask", "/ask/stream"))


def test_what_the_load_counts_is_what_the_tutor_kept(server: str, settings: Settings) -> None:
    result = load(server, requests=103)

    assert sum(result.requests.values()) == sum(len(values) for values in result.durations.values()) == 103
    assert {status for _, _, status in result.requests} <= {200, 201, 204}
    assert asked(result, 200) == sum(result.questions.values()) == count(settings, "questions")
    assert result.requests["POST", "/practice/{subject}/answers", 200] == count(settings, "practice_answers")
    assert 0 < count(settings, "practice_answers WHERE correct") < count(settings, "practice_answers")
    assert result.requests["POST", "/sync", 200] > 0
    assert count(settings, "sessions WHERE ended_at IS NULL") == 0


def test_a_load_for_some_seconds_ends_its_sessions_and_a_fault_reaches_both_workers(server: str, settings: Settings) -> None:
    httpx2.put(f"{server}/faults/failing_generation", json={"on": True}, trust_env=False)
    result = load(server, seconds=1)

    assert result.requests["POST", "/sessions", 201] == result.requests["DELETE", "/sessions/{session_id}", 204]
    assert asked(result, 502) == sum(result.questions.values())
    assert count(settings, "sessions WHERE ended_at IS NULL") == 0


def test_requests_without_an_answer_are_counted_as_such(free_port: int) -> None:
    result = load(f"http://127.0.0.1:{free_port}", requests=20)

    assert {status for _, _, status in result.requests} == {NO_RESPONSE}
    assert sum(result.requests.values()) == 20
    assert result.questions == {}


@pytest.mark.parametrize(("seconds", "requests"), [(None, None), (1.0, 1)])
def test_a_load_lasts_for_seconds_or_for_requests(seconds: float | None, requests: int | None) -> None:
    with pytest.raises(ValueError, match="give exactly one of them"):
        load("http://127.0.0.1:9", seconds=seconds, requests=requests)
