"""How `otel-tutor up` chooses between processes and containers, and what stands on Grafana's port."""

import os
import stat
import sys
from pathlib import Path

import httpx2
import pytest

from otel_tutor.tools.stack.containers.engine import find_engine
from otel_tutor.tools.stack.native.build import Binaries
from tests.support.command import Run, one_line

NO_ENGINE = "import sys; sys.exit('Cannot connect to the Docker daemon')"

# Grafana cannot be had here: this shows how one would be called, by answering with what it was given.
GRAFANA = """
import http.server, json, os, sys
if sys.argv[1:] == ["--version"]:
    sys.exit(print("grafana version 11.6.1"))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"arguments": sys.argv[1:], **os.environ}).encode())
http.server.HTTPServer((os.environ["GF_SERVER_HTTP_ADDR"], int(os.environ["GF_SERVER_HTTP_PORT"])), Handler).serve_forever()
"""


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\n{text}", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_a_client_without_an_engine_counts_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    client = program(tmp_path / "bin" / "docker", NO_ENGINE)
    monkeypatch.setenv("PATH", str(client.parent))
    assert find_engine() is None

    answer = run("up", "--compose", PATH=str(client.parent))
    assert "no container engine with a compose answers: start Docker or Podman" in one_line(answer.stderr)


def test_a_mode_or_an_engine_that_does_not_exist_is_refused(run: Run) -> None:
    other = run("up", "--compose", OTEL_TUTOR_ENGINE="containerd")
    assert "OTEL_TUTOR_ENGINE='containerd' does not exist: use docker or podman" in one_line(other.stderr)
    assert "OTEL_TUTOR_MODE='podman' does not exist: use native or compose" in one_line(
        run("up", OTEL_TUTOR_MODE="podman").stderr
    )


def test_a_running_stack_is_not_mixed_with_the_other_kind(run: Run, binaries: Binaries) -> None:
    assert run("up", "--native").returncode == 0
    assert "the stack is up already, as processes" in one_line(run("up", "--compose").stderr)
    assert "The stack is up already." in run("up", "--native").stdout


def test_ports_of_the_projects_env_file_are_used(run: Run, binaries: Binaries, tmp_path: Path) -> None:
    assert run("init").returncode == 0
    (tmp_path / ".env").write_text("OTEL_TUTOR_JAEGER_PORT=none\n", encoding="utf-8")

    assert "port jaeger='none' is not a port" in one_line(run("up", OTEL_TUTOR_JAEGER_PORT="").stderr)


def test_a_grafana_on_path_is_started_with_our_files(
    run: Run, binaries: Binaries, tmp_path: Path, ports: dict[str, int]
) -> None:
    grafana = program(tmp_path / "grafana" / "bin" / "grafana", GRAFANA)
    (tmp_path / "grafana" / "conf").mkdir()
    (tmp_path / "grafana" / "conf" / "defaults.ini").touch()
    path = f"{grafana.parent}{os.pathsep}{os.environ['PATH']}"
    assert run("init").returncode == 0
    (tmp_path / ".env").write_text("GRAFANA_ADMIN_PASSWORD=another\n", encoding="utf-8")
    started = run("up", PATH=path)
    assert "admin123" not in started.stdout
    assert f"See it at http://localhost:{ports['grafana']}" in started.stdout, started.stderr

    seen = httpx2.get(f"http://127.0.0.1:{ports['grafana']}/api/health").json()
    assert seen["arguments"] == ["server", "--homepath", str(tmp_path / "grafana")]
    assert (seen["GF_SECURITY_ADMIN_PASSWORD"], seen["GF_USERS_ALLOW_SIGN_UP"]) == ("another", "false")
    assert Path(seen["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]).is_file()
    provisioning = Path(seen["GF_PATHS_PROVISIONING"])
    sources = (provisioning / "datasources" / "otel-tutor.yaml").read_text(encoding="utf-8")
    assert f"url: http://127.0.0.1:{ports['prometheus']}" in sources
    assert f"url: http://127.0.0.1:{ports['victorialogs']}" in sources
