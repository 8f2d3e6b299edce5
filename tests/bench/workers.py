"""What uvicorn's processes spend on requests, by the number of connections and of workers."""

import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil

from tests.bench.otelcol import Collector, bare_configuration, collector, processor_seconds
from tests.bench.processes import REPOSITORY, Effort, LostError, clean_environment, plain_python
from tests.support.ports import unused_ports

__all__ = ["by_connections", "by_workers"]

CONNECTIONS = (1, 4, 16, 64)
WORKERS = (1, 2, 4)
PROBES = 20  # requests at most, before the load
QUIET = 0.05  # processor seconds in half a second


@dataclass
class Service:
    """uvicorn with workers, and the Collector that it exports to."""

    process: "subprocess.Popen[bytes]"
    port: int
    collector: Collector
    requests: int = 0
    in_flight: int = 0  # at the ends of loads, at most

    def workers(self) -> list[psutil.Process]:
        """The processes that answer."""
        own = psutil.Process(self.process.pid)
        return [child for child in own.children() if "spawn_main" in " ".join(child.cmdline())] or [own]

    def processor_seconds(self) -> float:
        """Of all of them, so far."""
        return sum(processor_seconds(worker.pid) for worker in self.workers())

    def load(self, connections: int, seconds: float) -> float:
        """Processor seconds of a request under load."""
        began = self.processor_seconds()
        command = [
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{max(1, round(seconds))}",
            f"http://127.0.0.1:{self.port}/hello/ada",
        ]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        requests = int(re.findall(r"(\d+) requests in", text)[0])
        self.requests += requests
        self.in_flight += connections
        return (self.processor_seconds() - began) / requests


def by_connections(effort: Effort) -> list[Sequence[tuple[float, float]]]:
    """Curves of processor seconds, for one request on each connection."""
    with _service(1) as service:
        service.load(16, 1)
        return [
            [(number, number * service.load(number, effort.seconds)) for number in CONNECTIONS] for _ in range(effort.loads)
        ]


def by_workers(effort: Effort) -> Mapping[str, list[Sequence[tuple[float, float]]]]:
    """Curves of processor seconds, for one request to each worker, and of bytes of memory of all of them."""
    curves: dict[str, list[Sequence[tuple[float, float]]]] = {"processor": [], "memory": []}
    for _ in range(effort.starts):
        processor, memory = [], []
        for number in WORKERS:
            with _service(number) as service:
                service.load(16, 1)
                processor.append((number, number * service.load(16, effort.seconds)))
                memory.append((number, sum(worker.memory_full_info().uss for worker in service.workers())))
        curves["processor"].append(processor)
        curves["memory"].append(memory)
    return curves


@contextmanager
def _service(workers: int) -> Iterator[Service]:
    """The app with us and so many workers. Raises LostError if not every answer has a span at the end."""
    ports, own = unused_ports(), unused_ports()
    with tempfile.TemporaryDirectory() as folder, collector(Path(folder), own, bare_configuration(own)) as receiver:
        environ = clean_environment(f"{folder}/data", {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.grpc})
        command = [plain_python(), "-m", "uvicorn", "--factory", "tests.bench.server:with_us", f"--workers={workers}"]
        options = [f"--port={ports['app']}", "--no-access-log", "--log-level=error"]
        process = subprocess.Popen([*command, *options], cwd=REPOSITORY, env=environ)
        try:
            service = Service(process, ports["app"], receiver)
            _wait(service, workers)
            yield service
            process.send_signal(signal.SIGTERM)
            process.wait(30)
            spans = receiver.settled("otelcol_receiver_accepted_spans", service.requests)
        finally:
            process.kill()
            process.wait()
        if not service.requests <= spans <= service.requests + service.in_flight + PROBES:
            raise LostError(f"workers: {spans:g} spans of {service.requests} requests")


def _wait(service: Service, workers: int) -> None:
    """Until all workers are there, have nothing more to do, and one answers."""
    deadline = time.monotonic() + 60
    before = 0.0
    while time.monotonic() < deadline:
        time.sleep(0.5)
        now = service.processor_seconds()
        if len(service.workers()) == workers and now > 0 and now - before < QUIET and _answers(service):
            return
        before = now
    raise LostError("workers: uvicorn does not answer")


def _answers(service: Service) -> bool:
    try:
        return bool(httpx2.get(f"http://127.0.0.1:{service.port}/hello/ada").status_code == httpx2.codes.OK)
    except httpx2.TransportError:
        return False
