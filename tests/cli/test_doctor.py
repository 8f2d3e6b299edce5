"""`otel-tutor doctor`: each cause is planted for real, and named."""

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from otel_tutor.tools.doctor import causes
from otel_tutor.tools.doctor.causes import CAUSES, COMMAND, render
from otel_tutor.tools.doctor.settings import check_settings
from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.polling import wait_for
from tests.support.command import one_line
from tests.support.ports import unused_ports
from tests.support.stack import Running

Consult = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def consult(running: Running, command: list[str]) -> Consult:
    """The doctor, asked beside an app that sends to the running stack."""
    sent_to = {"OTEL_EXPORTER_OTLP_ENDPOINT": running.otlp, "OTEL_TUTOR_DATA": str(running.stack.data)}
    bare = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}

    def ask(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        environment = {**bare, **sent_to, **environ}
        return subprocess.run(
            [*command, "doctor", *arguments], capture_output=True, text=True, check=False, timeout=120, env=environment
        )

    return ask


def test_a_healthy_stack_is_healthy_within_fifteen_seconds(running: Running, consult: Consult) -> None:
    alerts = f"http://127.0.0.1:{running.stack.state.ports['alertmanager']}/api/v2/alerts"
    assert wait_for(lambda: httpx2.get(alerts).json(), bool, seconds=90)
    started = time.monotonic()
    answer = consult()
    took = time.monotonic() - started

    assert answer.returncode == 0, answer.stdout + answer.stderr
    hops = [line.split("  ")[2 if line.startswith("ok") else 0].strip() for line in answer.stdout.splitlines()]
    assert hops == [
        "settings",
        "OTLP endpoint",
        "SDK to Collector",
        "Collector",
        "Prometheus",
        "Jaeger",
        "VictoriaLogs",
        "rules",
        "Alertmanager",
    ]
    assert "FAIL" not in answer.stdout and "note" not in answer.stdout  # noqa: PT018
    assert re.search(r"^ok    Collector +\d\.\d s  \d+ spans?, \d+ points, \d+ lines?$", answer.stdout, re.MULTILINE)
    assert max(map(len, answer.stdout.splitlines())) < 80
    assert took < 15


SETTINGS = [
    ({"OTEL_SDK_DISABLED": "true"}, "disabled"),
    ({"OTEL_METRICS_EXPORTER": "none"}, "no-metrics-exporter"),
    ({"OTEL_TRACES_EXPORTER": "none"}, "no-traces-exporter"),
    ({"OTEL_LOGS_EXPORTER": "none"}, "no-logs-exporter"),
    ({"OTEL_TRACES_SAMPLER": "always_off"}, "sampler"),
    ({"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}, "sampler"),
    ({"https_proxy": "http://proxy.example:3128"}, "proxy"),
    ({"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4317"}, "refused"),
    ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}, "refused"),
    ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, "refused"),
    ({"OTEL_METRIC_EXPORT_INTERVAL": "5s"}, "refused"),
]


@pytest.mark.parametrize(("environ", "cause"), SETTINGS, ids=str)
def test_a_setting_that_stops_everything_is_named(consult: Consult, environ: dict[str, str], cause: str) -> None:
    answer = consult(**environ)

    assert answer.returncode == 1
    line = one_line(answer.stderr)
    assert "settings: " + CAUSES[cause].cause in line
    assert line.endswith(CAUSES[cause].remedy)


@pytest.mark.parametrize(
    ("environ", "cause"),
    [
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": "10000"}, "timeout"),
        ({"OTEL_METRIC_EXPORT_INTERVAL": "60000"}, "interval"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=one"}, "instance"),
    ],
    ids=str,
)
def test_a_setting_that_only_hurts_is_a_note(consult: Consult, environ: dict[str, str], cause: str) -> None:
    answer = consult(**environ)

    assert CAUSES[cause].cause in answer.stdout
    assert "note" in answer.stdout


def test_an_endpoint_where_nobody_listens_is_named_with_the_right_one(running: Running, consult: Consult) -> None:
    port = unused_ports()["app"]
    answer = consult(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}")

    assert f"127.0.0.1:{port}; this stack's Collector is at {running.stack.state.ports['otlp']}" in one_line(answer.stderr)


def test_an_endpoint_that_is_something_else_is_named(running: Running, consult: Consult) -> None:
    answer = consult(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{running.stack.state.ports['prometheus']}")

    assert f"SDK to Collector: {CAUSES['not-collector'].cause}" in one_line(answer.stderr)


def test_a_canary_arrives_over_http(running: Running, consult: Consult) -> None:
    port = running.stack.state.ports["otlp-http"]
    answer = consult(OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf", OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}")

    assert (answer.returncode, answer.stderr) == (0, "")


def test_a_port_of_the_other_protocol_is_named(running: Running, consult: Consult) -> None:
    answer = consult(OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf", OTEL_EXPORTER_OTLP_ENDPOINT=running.otlp)

    assert f"SDK to Collector: {CAUSES['not-collector'].cause}" in one_line(answer.stderr)


def test_tls_where_there_is_none_is_named(running: Running, consult: Consult) -> None:
    answer = consult(OTEL_EXPORTER_OTLP_ENDPOINT=running.otlp.replace("http:", "https:"))

    assert f"SDK to Collector: {CAUSES['tls'].cause}" in one_line(answer.stderr)


ANOTHER_COLLECTOR = """
receivers: {{otlp: {{protocols: {{grpc: {{endpoint: "127.0.0.1:{port}"}}}}}}}}
exporters: {{file: {{path: {path}}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [file]}}
    metrics: {{receivers: [otlp], exporters: [file]}}
    logs: {{receivers: [otlp], exporters: [file]}}
"""


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_another_collector_than_the_stacks_is_noticed(consult: Consult, binaries: Binaries, tmp_path: Path) -> None:
    port = unused_ports()["otlp"]
    (tmp_path / "another.yaml").write_text(ANOTHER_COLLECTOR.format(port=port, path=tmp_path / "all"), encoding="utf-8")
    another = subprocess.Popen([binaries["otelcol"], f"--config={tmp_path / 'another.yaml'}"], stderr=subprocess.DEVNULL)
    try:
        assert wait_for(lambda: listens(port), bool, seconds=20)
        answer = consult(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}")
    finally:
        another.kill()
        another.wait()

    assert CAUSES["elsewhere"].cause in answer.stdout
    assert f"Prometheus: {CAUSES['metrics-lost'].cause}" in one_line(answer.stderr)


WRONG_CLOCK = """
import time

seconds, nanoseconds = time.time, time.time_ns
time.time = lambda: seconds() + 600
time.time_ns = lambda: nanoseconds() + 600 * 10**9
"""
COARSE = """
import otel_tutor.pipeline.otlp
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation

stock = lambda: ExponentialBucketHistogramAggregation(max_size=640, max_scale=4)
otel_tutor.pipeline.otlp.histogram_aggregation = stock
"""


@pytest.mark.parametrize(
    ("python", "cause", "detail"),
    [
        (WRONG_CLOCK, "clock", "this machine is 600 s ahead"),
        (COARSE, "resolution", "in le=0.1, not in le=0.5"),
    ],
    ids=["clock", "resolution"],
)
def test_a_python_that_is_not_as_it_should_be_is_noticed(
    consult: Consult, tmp_path: Path, python: str, cause: str, detail: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(python, encoding="utf-8")
    answer = consult(PYTHONPATH=os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))

    assert answer.returncode == 0, answer.stderr
    assert f"{CAUSES[cause].cause} ({detail})" in answer.stdout


@contextmanager
def without(running: Running, program: str) -> Iterator[None]:
    running.stack.supervisor.stop_program(program)
    try:
        yield
    finally:
        running.stack.supervisor.start_program(program)
        wait_for(lambda: {status.name: status.ready for status in running.stack.status()}[program], bool, seconds=30)


@pytest.mark.parametrize(
    ("program", "hop", "cause"),
    [
        ("collector", "OTLP endpoint", "no-listener"),
        ("prometheus", "Prometheus", "prometheus-down"),
        ("jaeger", "Jaeger", "jaeger-down"),
        ("victorialogs", "VictoriaLogs", "logs-down"),
        ("alertmanager", "Alertmanager", "alertmanager-down"),
    ],
)
def test_a_component_that_is_down_is_named(running: Running, consult: Consult, program: str, hop: str, cause: str) -> None:
    with without(running, program):
        answer = consult()

    assert answer.returncode == 1
    assert f"{hop}: {CAUSES[cause].cause}" in one_line(answer.stderr)


def test_a_backend_that_is_down_is_named_by_the_collector_first(running: Running, consult: Consult) -> None:
    with without(running, "jaeger"):
        answer = consult()

    assert f"{CAUSES['held'].cause} (otlp_grpc/jaeger)" in answer.stdout


def test_machines_are_told_in_json(consult: Consult) -> None:
    *_, last = [json.loads(line) for line in consult("--json", OTEL_SDK_DISABLED="true").stdout.splitlines()]

    assert (last["hop"], last["cause"], last["ok"]) == ("settings", "disabled", False)


def test_the_page_of_troubleshooting_is_current(repository: Path) -> None:
    written = (repository / "collector" / "troubleshooting.md").read_text(encoding="utf-8")

    assert written == render(), f"it is out of date: run {COMMAND}"


def test_every_cause_that_the_doctor_can_report_is_on_the_page() -> None:
    """A row that is missing in the table of its module would be reported and not listed."""
    folder = Path(causes.__file__).parent
    declared = {key for path in folder.glob("*.py") for key in re.findall(r'Cause\(\s*"([a-z-]+)"', path.read_text())}
    used = {key for path in folder.glob("*.py") for key in re.findall(r'CAUSES\["([a-z-]+)"\]', path.read_text())}

    assert declared == CAUSES.keys()
    assert used <= CAUSES.keys()


def test_a_variable_is_reported_once_and_notes_come_first() -> None:
    proxies = {"https_proxy": "http://proxy.example", "http_proxy": "http://proxy.example", "no_proxy": "example.org, other"}
    variables = {**proxies, "OTEL_SDK_DISABLED": " TRUE ", "OTEL_EXPORTER_OTLP_TIMEOUT": "10000"}
    findings = list(check_settings(variables, "localhost"))

    assert [(finding.cause and finding.cause.key, finding.stops) for finding in findings] == [
        ("timeout", False),
        ("disabled", True),
        ("proxy", True),
    ]
    assert list(check_settings({**proxies, "no_proxy": "localhost"}, "localhost")) == []
