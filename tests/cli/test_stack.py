"""`otel-tutor up`, `status` and `down`, and the mistakes people make with them."""

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import psutil
import pytest
from click.testing import CliRunner

from otel_tutor.tools.cli import COMMANDS, cli
from otel_tutor.tools.exercise.load import run_load
from otel_tutor.tools.stack.components import BY_NAME
from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.polling import wait_for
from otel_tutor.tools.stack.ports import variable
from otel_tutor.tools.stack.status import seconds_since_data
from tests.support.command import Run, left_running, one_line
from tests.support.stack import APP_AND_PAGE, Running


def test_up_status_and_down_twice_each(run: Run, binaries: Binaries, ports: dict[str, int]) -> None:
    first, second = run("up"), run("up")
    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    assert "The stack is up already." in second.stdout
    assert httpx2.get(f"http://127.0.0.1:{ports['prometheus']}/-/ready").status_code == 200

    status = run("status")
    assert status.returncode == 0
    assert re.findall(r"^(\S+) +\S+ +ready", status.stdout, re.MULTILINE) == [
        *(name for name in BY_NAME if name not in APP_AND_PAGE),
        "top",
    ]

    assert "Stopped" in run("down").stdout
    again = run("down")
    assert (again.returncode, again.stdout.strip()) == (0, "The stack was not running.")
    assert one_line(run("status").stderr) == "otel-tutor: the stack is not running: start it with `otel-tutor up`"


def test_status_says_how_long_ago_each_component_received_anything(running: Running) -> None:
    began = time.monotonic()
    asyncio.run(run_load(running.app, requests=8))
    reached = {"victorialogs", "jaeger", "prometheus", "collector", "tutor"}
    since = wait_for(lambda: seconds_since_data(running.backends), lambda since: since.keys() >= reached, seconds=60)
    longest = time.monotonic() - began + 5  # the test's own time, and a scrape that was a little earlier

    assert reached <= since.keys() <= {program.name for program in running.stack.status()}
    assert {name for name in reached if not 0 <= since[name] <= longest} == set()


def test_down_is_certain_also_when_a_component_has_just_died(
    run: Run, binaries: Binaries, environment: dict[str, str]
) -> None:
    assert run("up").returncode == 0
    (victim,) = [process for process in left_running(environment) if process.name() == "prometheus"]
    victim.kill()
    assert "Stopped" in run("down").stdout
    assert left_running(environment) == []


def test_restart_keeps_ports_and_overlays_and_reads_the_files_again(
    run: Run, binaries: Binaries, ports: dict[str, int], environment: dict[str, str]
) -> None:
    assert "the stack is not running" in one_line(run("restart").stderr)
    assert run("up", "--overlay", "tail-sampling").returncode == 0
    before = {process.pid for process in left_running(environment)}
    moved = {variable(name): "" for name in ports}  # what `up` was told is remembered
    again = run("restart", **moved)

    assert again.returncode == 0, again.stderr
    assert httpx2.get(f"http://127.0.0.1:{ports['prometheus']}/-/ready").status_code == 200
    after = left_running(environment)
    assert before.isdisjoint(process.pid for process in after)
    assert any("tail-sampling.yaml" in " ".join(process.cmdline()) for process in after)


@pytest.mark.parametrize("name", ["", *COMMANDS, "config check", "config print"])
def test_help_fits_a_screen_and_shows_an_example(name: str) -> None:
    result = CliRunner().invoke(cli, [*name.split(), "--help"], prog_name="otel-tutor", terminal_width=80)
    lines = result.output.splitlines()

    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert re.search(r"Example: .*otel-tutor", " ".join(map(str.strip, lines)))
    assert not any(re.search(r"\w\.\.\.$", line) for line in lines)  # nothing is cut off


def test_the_list_of_commands_needs_no_library_but_clicks() -> None:
    listed = "import sys; from otel_tutor.tools.cli import cli; cli(['--help'], standalone_mode=False); print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", listed], capture_output=True, text=True, check=True).stdout
    *_, modules = answer.splitlines()
    heavy = {"grpc", "httpx2", "numpy", "rich", "sqlalchemy", "supervisor", "textual", "yaml"}

    assert "status" in answer
    assert heavy & set(modules.split()) == set()


def test_a_shell_completes_commands_and_options() -> None:
    def completed(words: str) -> str:
        asked = {"_OTEL_TUTOR_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": "1"}
        command = [Path(sys.executable).with_name("otel-tutor")]
        return subprocess.run(command, env={**os.environ, **asked}, capture_output=True, text=True, check=False).stdout

    assert {line.partition(",")[2] for line in completed("otel-tutor st").splitlines()} == {"status"}
    assert "plain,doctor" in completed("otel-tutor d")


def test_only_loopback_is_listened_on(run: Run, binaries: Binaries, environment: dict[str, str]) -> None:
    assert run("up").returncode == 0
    ours = {process.pid for process in left_running(environment)}
    listening = [
        connection.laddr.ip
        for connection in psutil.net_connections(kind="inet")
        if connection.pid in ours and connection.status == psutil.CONN_LISTEN and connection.laddr
    ]

    assert len(listening) >= 13
    assert set(listening) == {"127.0.0.1"}


def test_a_taken_port_is_named_with_its_owner_and_the_way_out(run: Run, binaries: Binaries, ports: dict[str, int]) -> None:
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", ports["jaeger"]))
        squatter.listen()
        result = run("up")

    assert result.returncode == 1
    line = one_line(result.stderr)
    assert f"port {ports['jaeger']} (jaeger) is taken by" in line
    assert f"(pid {os.getpid()})" in line
    assert "choose another with --port jaeger=NUMBER" in line


@pytest.mark.parametrize(
    ("port", "message"),
    [
        ("kibana=3000", "there is no port 'kibana': choose one of grafana, app, otlp"),
        ("jaeger=http", "port jaeger='http' is not a port: use a number from 1 to 65535"),
        ("jaeger=70000", "port jaeger='70000' is not a port"),
        ("jaeger", "port jaeger='' is not a port"),
    ],
)
def test_a_port_that_is_none_is_a_wrong_command_line(run: Run, port: str, message: str) -> None:
    result = run("up", "--port", port)

    assert result.returncode == 2
    assert message in result.stderr


def test_one_port_for_two_is_refused(run: Run) -> None:
    result = run("up", "--port", "jaeger=1234", "--port", "prometheus=1234")

    assert "port 1234 is given to prometheus and jaeger" in one_line(result.stderr)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("collector/config.yaml", "receivers: [", r"config\.yaml line 2: not valid YAML"),
        (
            "collector/naming.yaml",
            "processors: {nothing: {}}",
            r"collector/config\.yaml with naming\.yaml with privacy\.yaml is not valid: .*nothing",
        ),
        ("collector/backends/prometheus.yaml", "scrape_configs: 7", r"prometheus\.yaml is not valid"),
        ("collector/backends/jaeger.yaml", "service: {}", r"jaeger\.yaml is not valid"),
        ("alerts/alertmanager.yaml", "route: {receiver: nobody}", r"alertmanager\.yaml is not valid"),
    ],
)
def test_a_broken_file_is_named_before_anything_starts(
    run: Run, binaries: Binaries, tmp_path: Path, repository: Path, file: str, text: str, message: str
) -> None:
    for folder in ("otel_tutor", "collector", "alerts"):
        shutil.copytree(repository / folder, tmp_path / "checkout" / folder)
    (tmp_path / "checkout" / file).write_text(text + "\n", encoding="utf-8")
    result = run("up", PYTHONPATH=str(tmp_path / "checkout"))

    assert result.returncode == 1
    assert re.search(message, one_line(result.stderr))


def test_a_data_folder_that_cannot_be_written_is_named(run: Run, binaries: Binaries, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("up", OTEL_TUTOR_DATA=str(tmp_path / "file" / "data"))

    assert result.returncode == 1
    assert "set OTEL_TUTOR_DATA to another folder" in one_line(result.stderr)


def test_a_damaged_record_of_what_runs_does_not_keep_it_running(
    run: Run, binaries: Binaries, environment: dict[str, str]
) -> None:
    assert run("up").returncode == 0
    (Path(environment["OTEL_TUTOR_DATA"]) / "stack.json").write_text("{", encoding="utf-8")
    assert "the stack is not running" in one_line(run("status").stderr)
    assert "Stopped" in run("down").stdout
    assert left_running(environment) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_killed_supervisor_takes_the_components_with_it(run: Run, binaries: Binaries, environment: dict[str, str]) -> None:
    assert run("up").returncode == 0
    (supervisor,) = [process for process in left_running(environment) if "supervisor.supervisord" in process.cmdline()]
    supervisor.send_signal(signal.SIGKILL)

    assert wait_for(lambda: left_running(environment), lambda left: not left, seconds=20) == []
    assert "the supervisor died: clear up with `otel-tutor down`" in one_line(run("status").stderr)
    assert run("down").returncode == 0


@pytest.mark.parametrize("group", [[], ["config"]])
def test_without_a_command_the_help_is_shown_as_it_is(command: list[str], group: list[str]) -> None:
    result = subprocess.run([*command, *group], capture_output=True, text=True, check=False)

    assert result.returncode == 2
    assert result.stderr.startswith(" ".join(["Usage: otel-tutor", *group, "[OPTIONS] COMMAND"]))


def test_an_unknown_command_is_one_line(run: Run) -> None:
    result = run("start")

    assert result.returncode == 2
    assert one_line(result.stderr) == "otel-tutor: No such command 'start'; see `otel-tutor --help`"
