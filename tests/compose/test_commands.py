"""`otel-tutor up`, `status`, `logs`, `restart`, `down` and `demo` where the stack is containers.

`make test-compose` runs them on Podman, `make test-docker` on Docker.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
import yaml

from otel_tutor.tools.stack.components import BY_NAME
from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.polling import wait_for
from otel_tutor.tools.stack.ports import variable
from tests.compose.images import engine
from tests.support.command import one_line
from tests.support.ports import unused_ports
from tests.support.stack import APP_AND_PAGE

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]

Run = Callable[..., subprocess.CompletedProcess[str]]

STACK = BY_NAME.keys() - APP_AND_PAGE


@pytest.fixture
def ports() -> dict[str, int]:
    return unused_ports()


@pytest.fixture
def environment(images: None, ports: dict[str, int], tmp_path: Path) -> dict[str, str]:
    """Of a user who leaves the choice to the command."""
    moved = {variable(name): str(number) for name, number in ports.items()}
    return {**os.environ, "OTEL_TUTOR_DATA": str(tmp_path / "data"), **moved, "OTEL_TUTOR_MODE": ""}


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Iterator[Run]:
    """The command in a project of a user's own, who has no Grafana."""

    def execute(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "otel_tutor", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )

    assert execute("init").returncode == 0
    file = tmp_path / "compose.yaml"
    text = yaml.safe_load(file.read_text(encoding="utf-8"))
    del text["services"]["grafana"]
    file.write_text(yaml.safe_dump(text, sort_keys=False), encoding="utf-8")
    yield execute
    execute("down")
    assert left() == []
    for name in volumes():
        engine("volume", "rm", name)


def volumes() -> list[str]:
    return [name for name in engine("volume", "ls", "--quiet").stdout.split() if re.match("otel-tutor-[0-9a-f]{8}_", name)]


def left() -> list[str]:
    """Containers and networks of every stack that a command started."""
    kinds = (("ps", "--all", "--format={{.Names}}"), ("network", "ls", "--format={{.Name}}"))
    names = [name for kind in kinds for name in engine(*kind).stdout.split()]
    return [name for name in names if re.match("otel-tutor-[0-9a-f]{8}[_-]", name)]


def container(service: str) -> str:
    """Its name; Docker's compose and podman-compose put it together with other signs."""
    (name,) = [name for name in left() if re.search(f"[_-]{service}[_-]1$", name)]
    return name


def test_where_an_engine_has_the_images_the_stack_is_containers(run: Run, ports: dict[str, int]) -> None:
    first, second = run("up"), run("up")
    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    assert "The stack is up already." in second.stdout
    status = run("status")
    assert status.returncode == 0, status.stderr
    rows = {line.split()[0]: line.split() for line in status.stdout.splitlines()[1:]}
    assert sorted(rows) == sorted(STACK)
    assert {row[2] for row in rows.values()} == {"ready"}
    assert rows["prometheus"][1] == "3.16.0"
    assert str(ports["jaeger"]) in rows["jaeger"]
    engine("rm", "--force", container("jaeger"))
    assert "not ready: jaeger: see `otel-tutor logs jaeger`" in one_line(run("status").stderr)
    assert "in containers: `otel-tutor down` first" in one_line(run("up", "--native").stderr)


def test_logs_restart_with_overlays_and_down_do_what_they_say(run: Run, ports: dict[str, int], tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("service: {telemetry: {resource: {deployment.environment.name: test}}}\n", encoding="utf-8")
    assert run("up", "--compose", "--overlay", "tail-sampling", "--overlay", str(own)).returncode == 0
    assert "Everything is ready" in run("logs", "collector").stdout + run("logs", "collector").stderr
    assert "there is no component 'grafana'" in one_line(run("logs", "grafana").stderr)

    assert run("restart").returncode == 0
    assert httpx2.get(f"http://127.0.0.1:{ports['prometheus']}/-/ready").status_code == 200
    files = running_files()
    assert files[-2:] == ["overlays/tail-sampling.yaml", "overlays/4-own.yaml"]

    assert "data stay in volumes of otel-tutor-" in run("down").stdout
    assert run("down").stdout.strip() == "The stack was not running."
    assert "the stack is not running" in one_line(run("status").stderr)


def running_files() -> list[str]:
    (seen,) = json.loads(engine("inspect", container("collector")).stdout)
    return [word.rpartition("/collector/")[2] for word in seen["Config"]["Cmd"]]


def test_what_is_edited_is_what_runs(run: Run, ports: dict[str, int], tmp_path: Path) -> None:
    routes = tmp_path / "alerts" / "alertmanager.yaml"
    routes.write_text(routes.read_text(encoding="utf-8").replace("repeat_interval: 12h", "repeat_interval: 7h"))
    assert run("up").returncode == 0

    status = httpx2.get(f"http://127.0.0.1:{ports['alertmanager']}/api/v2/status").json()
    assert "repeat_interval: 7h" in status["config"]["original"]


def test_a_taken_port_is_named(run: Run, ports: dict[str, int], tmp_path: Path) -> None:
    taken = subprocess.Popen([sys.executable, "-m", "http.server", "--bind=127.0.0.1", str(ports["jaeger"])], cwd=tmp_path)
    try:
        wait_for(lambda: run("up").stderr, lambda line: "is taken by python" in line, seconds=30)
        assert f"port {ports['jaeger']} (jaeger) is taken by python" in one_line(run("up").stderr)
    finally:
        taken.terminate()
        taken.wait()


def test_a_component_that_keeps_ending_is_named_with_what_it_says(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "collector" / "config.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("limit_mib: 512", "limit_mib: much"), encoding="utf-8")
    answer = run("up")

    assert "collector ended: " in one_line(answer.stderr)
    assert "'limit_mib' expected type 'uint32'" in answer.stderr


def test_where_an_image_cannot_be_had_the_stack_is_processes(run: Run, binaries: Binaries, tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    text = yaml.safe_load(file.read_text(encoding="utf-8"))
    text["services"]["prometheus"]["image"] = "localhost:1/nobody/prometheus:v3.16.0"
    file.write_text(yaml.safe_dump(text, sort_keys=False), encoding="utf-8")
    started = run("up")

    assert started.returncode == 0, started.stderr
    assert "Running as processes: localhost:1/nobody/prometheus:v3.16.0 cannot be pulled" in started.stdout
    assert left() == []
    run("down")
    assert "or use --native" in one_line(run("up", "--compose").stderr)


def test_the_demo_is_containers_and_leaves_none(run: Run, environment: dict[str, str], tmp_path: Path) -> None:
    killed = subprocess.Popen(
        [sys.executable, "-m", "otel_tutor", "demo"], stdout=subprocess.DEVNULL, cwd=tmp_path, env=environment
    )
    wait_for(left, lambda names: len(names) > 4, seconds=60)
    killed.kill()  # what it leaves is the next one's to clear
    killed.wait()
    result = run("demo", "--seconds", "8")

    assert result.returncode == 0, result.stdout + result.stderr
    assert "rag.retrieval" in result.stdout
    assert left() == []
    assert volumes() == []
