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


def elsewhere(name: str) -> Callable[[Path], None]:
    def prepare(configuration: Path) -> None:
        path = configuration / "collector" / "backends" / "targets" / f"{name}.yaml"
        path.write_text(yaml.safe_dump([{"targets": [f"127.0.0.1:{unused_ports()['app']}"]}]), encoding="utf-8")

    return prepare


def without_rules(configuration: Path) -> None:
    shutil.rmtree(configuration / "alerts" / "rules")


def as_it_is(configuration: Path) -> None:
    """The fault is in the overlay."""


@pytest.mark.parametrize(
    ("cause", "hop", "overlay", "prepare"),
    [
        ("unauthenticated", "SDK to Collector", _TOKEN, as_it_is),
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
    (tmp_path / "fault.yaml").write_text(overlay or "{}", encoding="utf-8")
    ports, stack = unused_ports(), Stack(tmp_path / "data")
    stack.up(binaries, ports, overlays=[str(tmp_path / "fault.yaml")], prepare=prepare, leashed=True)
    try:
        bare = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        sent_to = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{ports['otlp']}", "OTEL_TUTOR_DATA": str(stack.data)}
        answer = subprocess.run(
            [sys.executable, "-m", "otel_tutor", "doctor"],
            env={**bare, **sent_to},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    finally:
        stack.down()

    assert answer.returncode == 1, answer.stdout
    assert f"{hop}: {CAUSES[cause].cause}" in one_line(answer.stderr)
