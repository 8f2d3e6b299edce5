"""`otel-tutor doctor` where a component is up and loses what it is given: each loss is configured for real, and named."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from otel_tutor.doctor.causes import CAUSES
from otel_tutor.stack.build import Binaries
from otel_tutor.stack.stack import Stack
from tests.cli.test_stack import one_line
from tests.stack.conftest import unused_ports

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
_NO_MEMORY = "processors: {memory_limiter: {limit_mib: 1, spike_limit_mib: 0}}"
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


def without_the_leading_zero(configuration: Path) -> None:
    path = configuration / "collector" / "naming.yaml"
    before, last_list = path.read_text(encoding="utf-8").rsplit('"midpoint", [0.0, ', 1)
    path.write_text(f'{before}"midpoint", [{last_list}', encoding="utf-8")


def as_it_is(configuration: Path) -> None:
    """The fault is in the overlay."""


def examined(
    binaries: Binaries, folder: Path, overlay: str, prepare: Callable[[Path], None] = as_it_is
) -> subprocess.CompletedProcess[str]:
    """What the doctor says of a stack of its own, with an overlay or changed files."""
    (folder / "fault.yaml").write_text(overlay or "{}", encoding="utf-8")
    ports, stack = unused_ports(), Stack(folder / "data")
    stack.up(binaries, ports, overlays=[str(folder / "fault.yaml")], prepare=prepare, leashed=True)
    try:
        bare = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        sent_to = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{ports['otlp']}", "OTEL_TUTOR_DATA": str(stack.data)}
        return subprocess.run(
            [sys.executable, "-m", "otel_tutor", "doctor"],
            env={**bare, **sent_to},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    finally:
        stack.down()


@pytest.mark.parametrize(
    ("cause", "hop", "overlay", "prepare"),
    [
        ("unauthenticated", "SDK to Collector", _TOKEN, as_it_is),
        ("refuses", "Collector", _NO_MEMORY, as_it_is),
        ("not-scraped", "Prometheus", "", elsewhere("app")),
        (
            "metrics-lost",
            "Prometheus",
            _DROP.format(signal="metrics", item="metric", pipeline="metrics/prometheus"),
            as_it_is,
        ),
        ("traces-lost", "Jaeger", _DROP.format(signal="traces", item="span", pipeline="traces/jaeger"), as_it_is),
        (
            "logs-lost",
            "VictoriaLogs",
            _DROP.format(signal="logs", item="log_record", pipeline="logs/victorialogs"),
            as_it_is,
        ),
        ("rules", "rules", "", without_rules),
        ("alerts-lost", "Alertmanager", "", elsewhere("alertmanager")),
    ],
    ids=lambda value: value if isinstance(value, str) and value in CAUSES else "",
)
def test_what_is_lost_on_the_way_is_named(
    binaries: Binaries, tmp_path: Path, cause: str, hop: str, overlay: str, prepare: Callable[[Path], None]
) -> None:
    answer = examined(binaries, tmp_path, overlay, prepare)

    assert answer.returncode == 1, answer.stdout
    assert f"{hop}: {CAUSES[cause].cause}" in one_line(answer.stderr)


def test_a_backend_that_takes_nothing_is_named_by_its_exporter(binaries: Binaries, tmp_path: Path) -> None:
    answer = examined(binaries, tmp_path, _NOWHERE)

    assert f"{CAUSES['held'].cause} (otlp_http/victorialogs)" in answer.stdout
    assert f"VictoriaLogs: {CAUSES['logs-lost'].cause}" in one_line(answer.stderr)


def test_a_collector_that_says_nothing_of_itself_is_not_held_against_it(binaries: Binaries, tmp_path: Path) -> None:
    answer = examined(binaries, tmp_path, _NO_PAGE)

    assert answer.returncode == 0, answer.stderr
    assert not any(line.split()[1:2] == ["Collector"] for line in answer.stdout.splitlines())


def test_a_list_of_buckets_without_its_leading_zero_is_noticed(binaries: Binaries, tmp_path: Path) -> None:
    answer = examined(binaries, tmp_path, "", without_the_leading_zero)

    assert answer.returncode == 0, answer.stderr
    assert f"{CAUSES['resolution'].cause} (in le=0.005 and le=+Inf, not in le=0.001)" in answer.stdout
