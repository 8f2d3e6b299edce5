"""The service as seen from outside: the real blackbox exporter, with our configuration, against real servers."""

import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
import trustme
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from otel_tutor.settings import shipped_config_dir
from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.polling import wait_for
from tests.support.ports import unused_ports
from tests.support.server import serving
from tests.support.stack import Running

CONFIGURATION = shipped_config_dir() / "collector" / "backends" / "blackbox.yaml"

Probe = Callable[[str], dict[str, float]]


def app(status: int = 200) -> Starlette:
    async def ready(_: Request) -> Response:
        return PlainTextResponse("", status)

    return Starlette(routes=[Route("/health/ready", ready)])


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def probe(binaries: Binaries, authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Probe]:
    """Requests an address through an exporter that trusts one authority; gives the series of the answer."""
    trusted, port = tmp_path_factory.mktemp("trusted") / "ca.pem", unused_ports()["blackbox"]
    authority.cert_pem.write_to_path(str(trusted))
    at = f"127.0.0.1:{port}"
    command: list[str | Path] = [
        binaries["blackbox_exporter"],
        f"--config.file={CONFIGURATION}",
        f"--web.listen-address={at}",
    ]
    exporter = subprocess.Popen(command, env={"SSL_CERT_FILE": str(trusted)}, stderr=subprocess.DEVNULL)

    def answers() -> bool:
        try:
            return httpx2.get(f"http://{at}/-/healthy").status_code == 200
        except httpx2.HTTPError:
            return False

    def series(target: str) -> dict[str, float]:
        answer = httpx2.get(f"http://{at}/probe", params={"module": "ready", "target": target}, timeout=30)
        lines = [line for line in answer.text.splitlines() if not line.startswith("#") and "{" not in line]
        return {name: float(value) for name, value in map(str.split, lines)}

    try:
        assert wait_for(answers, bool, seconds=60)
        yield series
    finally:
        exporter.kill()
        exporter.wait()


def certificate(folder: Path, authority: trustme.CA, days: int) -> dict[str, str]:
    """What uvicorn shows: a certificate of this authority that ends in so many days."""
    now = datetime.now(UTC)
    issued = authority.issue_cert("127.0.0.1", not_before=now - timedelta(days=60), not_after=now + timedelta(days=days))
    issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    return {"ssl_certfile": str(folder / "server.pem")}


def test_a_certificate_that_is_valid_is_seen_with_its_end(probe: Probe, authority: trustme.CA, tmp_path: Path) -> None:
    with serving(app(), **certificate(tmp_path, authority, days=30)) as (host, port):
        series = probe(f"https://{host}:{port}/health/ready")

    assert (series["probe_success"], series["probe_http_status_code"]) == (1, 200)
    left = series["probe_ssl_earliest_cert_expiry"] - datetime.now(UTC).timestamp()
    assert timedelta(days=29) < timedelta(seconds=left) <= timedelta(days=30)


@pytest.mark.parametrize(("trusted", "days"), [(True, -1), (False, 30)], ids=["expired", "of no one who is trusted"])
def test_a_certificate_that_browsers_refuse_is_no_success(
    probe: Probe, authority: trustme.CA, tmp_path: Path, trusted: bool, days: int
) -> None:
    with serving(app(), **certificate(tmp_path, authority if trusted else trustme.CA(), days)) as (host, port):
        series = probe(f"https://{host}:{port}/health/ready")

    assert (series["probe_success"], series["probe_http_status_code"]) == (0, 0)
    assert "probe_ssl_earliest_cert_expiry" not in series  # the alert on it looks back


def test_neither_is_a_service_that_is_not_ready_nor_a_proxy_that_is_gone(probe: Probe) -> None:
    with serving(app(503)) as (host, port):
        not_ready = probe(f"http://{host}:{port}/health/ready")
    gone = probe(f"http://{host}:{port}/health/ready")

    assert (not_ready["probe_success"], not_ready["probe_http_status_code"]) == (0, 503)
    assert (gone["probe_success"], gone["probe_http_status_code"]) == (0, 0)


def test_prometheus_has_the_tutor_of_the_stack_requested(running: Running) -> None:
    query = 'probe_success{service="tutor"}'

    (sample,) = wait_for(lambda: running.backends.query(query), bool, seconds=60)
    assert sample.value == 1
    assert sample.labels["instance"] == f"{running.app.replace('localhost', '127.0.0.1')}/health/ready"
