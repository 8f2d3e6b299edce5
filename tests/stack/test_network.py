"""OTLP over a network: only with our certificate and a token; else nothing arrives, and one line says why."""

import datetime
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from otel_tutor.environment import HTTP
from otel_tutor.tools.stack.backends import Backends
from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.native.stack import NativeStack
from otel_tutor.tools.stack.polling import wait_for
from otel_tutor.tools.stack.ports import LOOPBACK
from tests.support.ports import unused_ports
from tests.support.stack import APP_AND_PAGE, operations

TOKEN = "the-right-token-1234567890"

PROGRAM = """
import otel_tutor
from otel_tutor.monitoring import metrics_collector
from otel_tutor.tracing import trace_operation
otel_tutor.configure()
with trace_operation("sent"):
    metrics_collector.track_student_activity("physics", "optics")
otel_tutor.shutdown()
"""


@dataclass(frozen=True)
class Guarded:
    """A stack whose Collector wants a certificate and a token."""

    folder: Path
    endpoint: str
    http_endpoint: str
    backends: Backends

    def send(self, service: str, **settings: str) -> str:
        """Have an app of that name send something; what it logged."""
        variables = {
            "OTEL_SERVICE_NAME": service,
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.endpoint,
            "OTEL_EXPORTER_OTLP_CERTIFICATE": str(self.folder / "ca.pem"),
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": str(self.folder / "app.pem"),
            "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(self.folder / "app.pem"),
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{TOKEN}",
            **settings,
        }
        environment = {name: value for name, value in {**os.environ, **variables}.items() if value}
        command = [sys.executable, "-c", PROGRAM]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment)
        return result.stderr

    def arrived(self) -> set[str]:
        names = {sample.labels["job"] for sample in self.backends.query("student_questions_total")}
        return names | {name for name in CASES if operations(self.backends, name)}


def write_certificates(folder: Path) -> None:
    """An authority, a Collector and apps: one as it should be, one expired, one of another authority."""
    ours, other = trustme.CA(), trustme.CA()
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    ours.cert_pem.write_to_path(folder / "ca.pem")
    other.cert_pem.write_to_path(folder / "other-ca.pem")
    collector = ours.issue_cert(LOOPBACK)
    collector.private_key_pem.write_to_path(folder / "collector.key")
    collector.cert_chain_pems[0].write_to_path(folder / "collector.pem")
    ours.issue_cert("app").private_key_and_cert_chain_pem.write_to_path(folder / "app.pem")
    ours.issue_cert("app", not_after=past).private_key_and_cert_chain_pem.write_to_path(folder / "expired.pem")
    other.issue_cert("app").private_key_and_cert_chain_pem.write_to_path(folder / "stranger.pem")
    (folder / "tokens").write_text(f"{TOKEN}\n", encoding="utf-8")


@pytest.fixture(scope="module")
def guarded(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder, ports = tmp_path_factory.mktemp("tls"), unused_ports()
    write_certificates(folder)
    stack = NativeStack(tmp_path_factory.mktemp("guarded"), binaries=binaries, die_with_parent=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_TUTOR_TLS", str(folder))
        patch.setenv("OTEL_TUTOR_LISTEN", LOOPBACK)
        stack.up(ports, overlays=["network"], without=APP_AND_PAGE)
    try:
        with Backends(ports) as backends:
            grpc, http = (f"https://{LOOPBACK}:{ports[name]}" for name in ("otlp", "otlp-http"))
            yield Guarded(folder, grpc, http, backends)
    finally:
        stack.down()


# What is wrong -> the settings that make it so, and what the app's one line has of it.
CASES = {
    "wrong-token": ({"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20wrong"}, "StatusCode.UNAUTHENTICATED"),
    "no-token": ({"OTEL_EXPORTER_OTLP_HEADERS": ""}, "StatusCode.UNAUTHENTICATED"),
    "no-certificate": (
        {"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "", "OTEL_EXPORTER_OTLP_CLIENT_KEY": ""},
        "StatusCode.UNAVAILABLE",
    ),
    "expired": (
        {"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "expired.pem", "OTEL_EXPORTER_OTLP_CLIENT_KEY": "expired.pem"},
        "StatusCode.UNAVAILABLE",
    ),
    "stranger": (
        {"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "stranger.pem", "OTEL_EXPORTER_OTLP_CLIENT_KEY": "stranger.pem"},
        "StatusCode.UNAVAILABLE",
    ),
    "wrong-authority": ({"OTEL_EXPORTER_OTLP_CERTIFICATE": "other-ca.pem"}, "CERTIFICATE_VERIFY_FAILED"),
}


@pytest.mark.parametrize("case", CASES)
def test_without_the_right_credentials_one_line_says_why(guarded: Guarded, case: str) -> None:
    chosen, complaint = CASES[case]
    settings = {name: str(guarded.folder / value) if value.endswith(".pem") else value for name, value in chosen.items()}
    lines = [line for line in guarded.send(case, **settings).splitlines() if line.strip()]

    assert len(lines) == 1, lines
    assert complaint in lines[0]
    assert TOKEN not in lines[0]


def test_with_them_everything_arrives_and_of_the_others_nothing(guarded: Guarded) -> None:
    assert guarded.send("right") == ""

    assert wait_for(guarded.arrived, lambda seen: "right" in seen, seconds=30) == {"right"}
    assert wait_for(lambda: operations(guarded.backends, "right"), bool, seconds=30) == ["sent"]


def test_over_http_it_takes_the_same_credentials(guarded: Guarded) -> None:
    over_http = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": HTTP,
        "OTEL_EXPORTER_OTLP_ENDPOINT": guarded.http_endpoint,
        "REQUESTS_CA_BUNDLE": str(guarded.folder / "other-ca.pem"),  # requests prefers it to a session's certificate
    }
    (refused,) = guarded.send("no-token-http", **over_http, OTEL_EXPORTER_OTLP_HEADERS="").splitlines()

    assert "401" in refused
    assert guarded.send("http", **over_http) == ""
    assert wait_for(guarded.arrived, lambda seen: "http" in seen, seconds=30) >= {"http"}
    assert "no-token-http" not in guarded.arrived()


def test_a_token_is_changed_without_a_restart(guarded: Guarded) -> None:
    (guarded.folder / "tokens").write_text(f"{TOKEN}\nthe-next-token\n", encoding="utf-8")

    def send() -> str:
        return guarded.send("rotated", OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20the-next-token")

    assert wait_for(send, lambda complaint: complaint == "", seconds=30) == ""
    assert wait_for(guarded.arrived, lambda seen: "rotated" in seen, seconds=30) >= {"right", "rotated"}
