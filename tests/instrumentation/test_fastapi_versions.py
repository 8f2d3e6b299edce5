"""FastAPI that measures requests itself, and FastAPI from before: one series and one span a request in either."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.stack  # it installs from the package index

BEFORE_NATIVE_TELEMETRY = "0.140.0"  # 0.150 is the first that measures requests by itself
REQUESTS = 7

PROGRAM = f"""
import json
import fastapi
from fastapi.testclient import TestClient
import otel_tutor
from otel_tutor.instrumentation.asgi import TelemetryMiddleware
from otel_tutor.testing import capture

kept = capture()
app = fastapi.FastAPI()

@app.get("/items/{{item}}")
def read(item: int):
    return item

otel_tutor.configure(app)
otel_tutor.configure(app)
client = TestClient(WRAPPED)
for number in range({REQUESTS}):
    assert client.get(f"/items/{{number}}").json() == number
points = kept.read_metrics()["http.server.request.duration"]
servers = [span.name for span in kept.spans if span.kind.name == "SERVER"]
print(json.dumps([fastapi.__version__, [[dict(point.attributes), point.count] for point in points], servers]))
"""


@pytest.fixture(scope="module")
def old_fastapi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with that FastAPI alone; what it needs is installed already."""
    folder = tmp_path_factory.mktemp("fastapi")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    subprocess.run([*install, f"fastapi=={BEFORE_NATIVE_TELEMETRY}"], check=True, timeout=120)
    return folder


def run(path: Path | None, wrapped: str) -> tuple[str, list[list[object]], list[str]]:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("WRAPPED", wrapped)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **({"PYTHONPATH": str(path)} if path else {})},
    )
    assert result.returncode == 0, result.stderr
    version, points, servers = json.loads(result.stdout)
    return version, points, servers


@pytest.mark.parametrize("wrapped", ["app", "TelemetryMiddleware(app)"])
def test_a_request_is_one_series_and_one_span(wrapped: str) -> None:
    version, points, servers = run(None, wrapped)

    assert version != BEFORE_NATIVE_TELEMETRY
    assert_one_each(points, servers)


@pytest.mark.stack  # it fetches a release of FastAPI, and `make check` needs no network
@pytest.mark.parametrize("wrapped", ["app", "TelemetryMiddleware(app)"])
def test_a_request_is_one_series_and_one_span_before_native_telemetry(old_fastapi: Path, wrapped: str) -> None:
    version, points, servers = run(old_fastapi, wrapped)

    assert version == BEFORE_NATIVE_TELEMETRY
    assert_one_each(points, servers)


def assert_one_each(points: list[list[object]], servers: list[str]) -> None:
    labels = {"http.request.method": "GET", "http.route": "/items/{item}", "http.response.status_code": 200}
    assert points == [[labels, REQUESTS]]
    assert servers == ["GET /items/{item}"] * REQUESTS
