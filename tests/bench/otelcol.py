"""Collectors for measurements: our binary on free ports, and what it says of itself."""

import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import yaml

from otel_tutor.settings import shipped_config_dir
from otel_tutor.tools.stack.files import cache_folder
from otel_tutor.tools.stack.native.build import Binaries, available
from otel_tutor.tools.stack.polling import wait_for
from otel_tutor.tools.stack.ports import LOOPBACK

__all__ = ["Collector", "bare_configuration", "binaries", "collector", "processor_seconds"]


def binaries() -> Binaries:
    """What `otel-tutor build` has built."""
    found, missing = available(shipped_config_dir(), cache_folder())
    if missing:
        raise SystemExit("the components are not built; build with: otel-tutor build")
    return found


@dataclass(frozen=True)
class Collector:
    """A Collector that runs, and the ports of its configuration."""

    ports: Mapping[str, int]
    process: int

    @property
    def grpc(self) -> str:
        """Where it takes OTLP over gRPC."""
        return f"http://{LOOPBACK}:{self.ports['otlp']}"

    @property
    def http(self) -> str:
        """Where it takes OTLP over HTTP."""
        return f"http://{LOOPBACK}:{self.ports['otlp-http']}"

    def total(self, family: str) -> float:
        """The sum of a family of the metrics that it has of itself."""
        text = httpx2.get(f"http://{LOOPBACK}:{self.ports['collector-metrics']}/metrics").text
        return sum(float(value) for value in re.findall(rf"^{family}(?:\{{.*\}})? (\S+)$", text, re.MULTILINE))

    def settled(self, family: str, expected: float, seconds: float = 10) -> float:
        """The same, once it is what is expected, or after so many seconds."""
        deadline = time.monotonic() + seconds
        while (total := self.total(family)) < expected and time.monotonic() < deadline:
            time.sleep(0.1)
        return total

    def processor_seconds(self) -> float:
        """Its processor time so far."""
        return processor_seconds(self.process)


def processor_seconds(process: int) -> float:
    """The processor time of a process so far; /proc/PID/stat has it in hundredths of a second only."""
    tasks = Path(f"/proc/{process}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def bare_configuration(ports: Mapping[str, int]) -> dict[str, Any]:
    """OTLP in, and out into nothing."""
    pipeline = {"receivers": ["otlp"], "exporters": ["file"]}
    reader = {"pull": {"exporter": {"prometheus": {"host": LOOPBACK, "port": ports["collector-metrics"]}}}}
    addresses = {protocol: {"endpoint": f"{LOOPBACK}:{ports[name]}"} for protocol, name in PROTOCOLS.items()}
    return {
        "receivers": {"otlp": {"protocols": addresses}},
        "exporters": {"file": {"path": "/dev/null", "format": "proto"}},
        "service": {
            "pipelines": {"traces": pipeline, "metrics": pipeline, "logs": pipeline},
            "telemetry": {"metrics": {"readers": [reader]}, "logs": {"level": "error"}},
        },
    }


PROTOCOLS = {"grpc": "otlp", "http": "otlp-http"}


@contextmanager
def collector(
    folder: Path, ports: Mapping[str, int], configuration: Mapping[str, Any], environ: Mapping[str, str] | None = None
) -> Iterator[Collector]:
    """A Collector with this configuration and environment, whose own metrics are on one of these ports."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "collector.yaml"
    file.write_text(yaml.safe_dump(configuration), encoding="utf-8")
    command = [str(binaries()["otelcol"]), f"--config={file}"]
    with (folder / "collector.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, env=dict(environ or {}), stdout=log, stderr=log)
    try:
        page = f"http://{LOOPBACK}:{ports['collector-metrics']}/metrics"
        if not wait_for(lambda: _answers(page, process), bool, seconds=20):
            raise RuntimeError(f"the Collector does not answer: {log.name}")
        yield Collector(ports, process.pid)
    finally:
        process.kill()
        process.wait()


def _answers(page: str, process: "subprocess.Popen[bytes]") -> bool:
    if process.poll() is not None:
        raise RuntimeError("the Collector has ended")
    try:
        return bool(httpx2.get(page).status_code == httpx2.codes.OK)
    except httpx2.TransportError:
        return False
