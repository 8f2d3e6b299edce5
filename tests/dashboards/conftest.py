"""A Prometheus that parses expressions."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.polling import wait_for
from tests.support.ports import unused_ports


@pytest.fixture(scope="module")
def parser(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a Prometheus without any data says what an expression is made of."""
    folder: Path = tmp_path_factory.mktemp("parser")
    (folder / "prometheus.yaml").write_text("{}", encoding="utf-8")
    url = f"http://127.0.0.1:{unused_ports()['prometheus']}"
    options = ("--config.file=prometheus.yaml", "--storage.tsdb.path=data", f"--web.listen-address={url[7:]}")
    process = subprocess.Popen([binaries["prometheus"], *options], cwd=folder, stderr=subprocess.DEVNULL)
    try:
        assert wait_for(lambda: _is_ready(url), bool, seconds=20)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=20)


def _is_ready(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/-/ready", trust_env=False).is_success
    except httpx2.HTTPError:
        return False
