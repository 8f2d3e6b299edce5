"""The oldest releases of OpenTelemetry and of what it observes that pyproject.toml allows pass the tests of both together.

`make test` has the newest everywhere else; `make matrix` tests those in between.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.stack  # it installs from the package index, and `make check` needs no network

OBSERVED = {"starlette", "fastapi", "uvicorn", "sqlalchemy"}
OPENTELEMETRY = "opentelemetry-"  # what these names begin with
OF_DEVELOPERS = {"dev", "bench"}  # extras that say nothing of what users may have
VERSIONS = """
import importlib.metadata as metadata, json, sys
print(json.dumps({name: metadata.version(name) for name in sys.argv[1:]}))
"""


def lower_bounds(repository: Path) -> dict[str, str]:
    """The oldest release of OpenTelemetry and of each that is observed, as users may have it."""
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    extras = [wanted for name, wanted in project["optional-dependencies"].items() if name not in OF_DEVELOPERS]
    bounds = dict(re.findall(r"([\w-]+)>=([\w.]+)", " ".join(sum(extras, project["dependencies"]))))
    return {name: bound for name, bound in bounds.items() if name in OBSERVED or name.startswith(OPENTELEMETRY)}


@pytest.fixture(scope="module")
def oldest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process that has the oldest releases."""
    folder = tmp_path_factory.mktemp("oldest")
    install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", sys.executable, "--target", str(folder)]
    bounds = lower_bounds(Path(__file__).parents[2])
    httpx = "httpx"  # of Starlette's own test client, before httpx2
    subprocess.run([*install, httpx, *map("==".join, bounds.items())], check=True, timeout=300)
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    installed = subprocess.run(
        [sys.executable, "-c", VERSIONS, *bounds], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert all(version.startswith(bounds[name]) for name, version in json.loads(installed.stdout).items())
    return environment


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "tests", ["tests/instrumentation", "tests/pipeline", "tests/health", "tests/test_testing.py tests/test_guard.py"]
)
def test_the_oldest_releases_pass(oldest: dict[str, str], repository: Path, tests: str) -> None:
    options = ["-q", "-m", "memory", "-p", "no:cacheprovider", "-o", "filterwarnings=default"]  # of old releases' own
    options += ["-k", "not private_part_renamed"]  # a minute of many processes; `make matrix` runs it on each release
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *tests.split()],
        env=oldest,
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
        timeout=850,
    )

    assert result.returncode == 0, result.stdout[-5000:]
    assert " passed" in result.stdout.splitlines()[-1]
