"""`otel-tutor doctor` where a component is up and loses what it is given: each loss is configured for real, and named."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from otel_tutor.tools.doctor.causes import CAUSES
from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.native.stack import NativeStack
from otel_tutor.tools.stack.polling import wait_for
from tests.support.command import one_line
from tests.support.ports import unused_ports
from tests.support.stack import APP_AND_PAGE

_DROP = """\
processors:
  filter/everything:
    {signal}:
      {item}: ["true"]
service:
  pipelines:
    {pipeline}:
      processors: [filter/everything]
"""
_TOKEN = """\
extensions: {bearertokenauth: {token: secret}}
receivers: {otlp: {protocols: {grpc: {auth: {authenticator: bearertokenauth}}}}}
service: {extensions: [health_check, file_storage, bearertokenauth]}
"""
_NO_MEMORY = "processors: {memory_limiter: {check_interval: 10ms, limit_mib: 1, spike_limit_mib: 0}}"  # at once
_NOWHERE = (
    "exporters: {otlp_http/victorialogs: {logs_endpoint: 'http://127.0.0.1:${env:OTEL_TUTOR_PROMETHEUS_PORT}/nowhere'}}"
)
_NO_PAGE = "service: {telemetry: {metrics: {level: none}}}"


def elsewhere(name: str) -> Callable[[Path], None]:
    def prepare(configuration: Path) -> None:
        path = configuration / "collector" / "backends" / "targets" / f"{name}.yaml"
        path.write_text(yaml.safe_dump([{"targets": [f"127.0.0.1:{unused_ports()['app']}"]}]), encoding="utf-8")

    return prepare


def without_rules(configuration: Path) -> None:
    shutil.rmtree(configuration / "alerts" / "rules")


def started(binaries: Binaries, folder: Path, edit: Callable[[Path], None]) -> NativeStack:
    """A stack with an overlay that changes nothing yet, and files that do."""
    (folder / "fault.yaml").write_text("{}", encoding="utf-8")
    stack, overlays = NativeStack(folder / "data", binaries=binaries, die_with_parent=True), [str(folder / "fault.yaml")]
    stack.up(unused_ports(), overlays=overlays, edit=edit, without=APP_AND_PAGE)
    return stack


def examined(stack: NativeStack) -> subprocess.CompletedProcess[str]:
    """What the doctor says of it."""
    bare = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    endpoint = f"http://127.0.0.1:{stack.state.ports['otlp']}"
    sent_to = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TUTOR_DATA": str(stack.data)}
    command = [sys.executable, "-m", "otel_tutor", "doctor"]
    return subprocess.run(command, env={**bare, **sent_to}, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def stack(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeStack]:
    """The one whose Collector is restarted with one fault after the other."""
    stack = started(binaries, tmp_path_factory.mktemp("losses"), lambda _: None)
    yield stack
    stack.down()


def collect_with(stack: NativeStack, overlay: str) -> None:
    """Restart its Collector with what the overlay says."""
    stack.supervisor.stop_program("collector")
    (stack.data.parent / "fault.yaml").write_text(overlay, encoding="utf-8")
    stack.supervisor.start_program("collector")
    assert wait_for(lambda: {status.name: status.ready for status in stack.status()}["collector"], bool, seconds=30)


@pytest.mark.parametrize(
    ("cause", "hop", "overlay"),
    [
        ("unauthenticated", "SDK to Collector", _TOKEN),
        ("refuses", "Collector", _NO_MEMORY),
        ("metrics-lost", "Prometheus", _DROP.format(signal="metrics", item="metric", pipeline="metrics/prometheus")),
        ("traces-lost", "Jaeger", _DROP.format(signal="traces", item="span", pipeline="traces/jaeger")),
        ("logs-lost", "VictoriaLogs", _DROP.format(signal="logs", item="log_record", pipeline="logs/victorialogs")),
    ],
    ids=lambda value: value if isinstance(value, str) and value in CAUSES else "",
)
def test_what_the_collector_loses_is_named(stack: NativeStack, cause: str, hop: str, overlay: str) -> None:
    collect_with(stack, overlay)
    answer = examined(stack)

    assert answer.returncode == 1, answer.stdout
    assert f"{hop}: {CAUSES[cause].cause}" in one_line(answer.stderr)


def test_a_backend_that_takes_nothing_is_named_by_its_exporter(stack: NativeStack) -> None:
    collect_with(stack, _NOWHERE)
    answer = examined(stack)

    assert f"{CAUSES['held'].cause} (otlp_http/victorialogs)" in answer.stdout
    assert f"VictoriaLogs: {CAUSES['logs-lost'].cause}" in one_line(answer.stderr)


def test_a_collector_that_says_nothing_of_itself_is_not_held_against_it(stack: NativeStack) -> None:
    collect_with(stack, _NO_PAGE)
    answer = examined(stack)

    assert answer.returncode == 0, answer.stderr
    assert not any(line.split()[1:2] == ["Collector"] for line in answer.stdout.splitlines())


def test_a_list_of_buckets_without_its_leading_zero_is_noticed(stack: NativeStack) -> None:
    naming = stack.data / "config" / "collector" / "naming.yaml"
    before, last_list = naming.read_text(encoding="utf-8").rsplit('"midpoint", [0.0, ', 1)
    naming.write_text(f'{before}"midpoint", [{last_list}', encoding="utf-8")
    collect_with(stack, "{}")
    answer = examined(stack)
    naming.write_text(f'{before}"midpoint", [0.0, {last_list}', encoding="utf-8")

    assert answer.returncode == 0, answer.stderr
    assert f"{CAUSES['resolution'].cause} (in le=0.005 and le=+Inf, not in le=0.001)" in answer.stdout


@pytest.mark.parametrize(
    ("cause", "hop", "prepare"),
    [
        ("not-scraped", "Prometheus", elsewhere("app")),
        ("rules", "rules", without_rules),
        ("alerts-lost", "Alertmanager", elsewhere("alertmanager")),
    ],
    ids=lambda value: value if isinstance(value, str) and value in CAUSES else "",
)
def test_what_prometheus_does_not_read_or_tell_is_named(
    binaries: Binaries, tmp_path: Path, cause: str, hop: str, prepare: Callable[[Path], None]
) -> None:
    stack = started(binaries, tmp_path, prepare)
    try:
        answer = examined(stack)
    finally:
        stack.down()

    assert answer.returncode == 1, answer.stdout
    assert f"{hop}: {CAUSES[cause].cause}" in one_line(answer.stderr)
