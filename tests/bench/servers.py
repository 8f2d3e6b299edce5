"""uvicorn with real HTTP over loopback, one process, telemetry exported to a Collector: throughput, P50 and P99.

The load is wrk's, with keep-alive. It shares the machine's processors with the server and the Collector, so only ratios to
the app without telemetry say something; each is of two rounds that follow each other closely.
"""

import re
import shutil
import signal
import subprocess
import tempfile
import threading
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.otelcol import Collector, bare_configuration, collector
from tests.bench.processes import REPOSITORY, Effort, LostError, clean_environment, peers_python, plain_python
from tests.bench.table import Row, quartiles
from tests.support.ports import unused_ports

__all__ = ["CONNECTIONS", "Load", "Server", "drive", "load", "rows", "serving"]

CONNECTIONS = (1, 16, 64)
NOWHERE = "http://127.0.0.1:9"
HTTP = {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
PEERS = {"instrumentator": "prometheus-fastapi-instrumentator", "contrib": "contrib ASGI", "logfire": "logfire"}
# What the app's own figures are compared with: ours, ours while it exports all the time, ours without a Collector.
MODES = {"with_us": ("", 1.1), "exporting": (", while an export runs", 1.15), "down": (", Collector down", 1.15)}
SPANS_OF_A_REQUEST = {"with_us": 1, "exporting": 1, "contrib": 3, "logfire": 1}


@dataclass(frozen=True)
class Load:
    """What wrk saw in a round: requests in a second, and seconds."""

    rate: float
    p50: float
    p99: float


@dataclass
class Server:
    """A server that runs, and the Collector that it exports to, if any."""

    name: str
    process: "subprocess.Popen[str]"
    port: int
    collector: Collector | None
    loads: dict[int, list[Load]] = field(default_factory=lambda: defaultdict(list))

    def stop(self) -> int:
        """Have it end; how many requests it had."""
        requests, _ = self.process.communicate(timeout=60)
        return int(requests)


def rows(effort: Effort) -> list[Row]:
    """The rows of servers. Raises LostError where ours loses a span; what peers lose is in their rows."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed; install it, e.g. apt-get install wrk")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        names = ("none", *MODES, *PEERS)
        servers = {name: stack.enter_context(serving(name, Path(folder) / name)) for name in names}
        drive(list(servers.values()), effort, CONNECTIONS)
        losses = {name: _lost(server) for name, server in servers.items()}
    if ours := {name: lost for name, lost in losses.items() if lost and name in MODES}:
        raise LostError(f"servers: spans that did not arrive: {ours}")
    found = [_throughput(servers, number, "none", "no telemetry", 0.9) for number in CONNECTIONS]
    for name, title in PEERS.items():
        loses = f", which lost {losses[name]:.0%} of its spans" if losses[name] else ""
        found += [_throughput(servers, number, name, title + loses, 1.0) for number in CONNECTIONS]
    for mode, (title, aim) in MODES.items():
        found += [_latency(servers, mode, number, kind, title, aim) for kind in ("p50", "p99") for number in CONNECTIONS]
    return found


@contextmanager
def serving(name: str, folder: Path, more: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A variant of `tests.bench.server`, with a Collector where it exports."""
    folder.mkdir()
    with ExitStack() as stack:
        receiver, ports = None, unused_ports()
        if name in SPANS_OF_A_REQUEST:
            receiver = stack.enter_context(collector(folder, ports, bare_configuration(ports)))
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.grpc if receiver else NOWHERE}
        if name == "logfire" and receiver:
            environ = {**HTTP, "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http}
        python = peers_python() if name == "logfire" else plain_python()
        process = subprocess.Popen(
            [python, "-m", "tests.bench.server", name],
            cwd=REPOSITORY,
            env=clean_environment(str(folder / "data"), {**environ, **(more or {})}),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            yield Server(name, process, int(process.stdout.readline()), receiver)
        finally:
            process.kill()
            process.wait()


def drive(servers: Sequence[Server], effort: Effort, connections: Sequence[int]) -> None:
    """Put load on each server in turns; one that exports all the time does so in its turn only."""
    for server in servers:
        load(server, 16, 0.5)  # what is made once is made now
    for number in connections:
        for _ in range(effort.loads):
            for server in servers:
                if server.name == "exporting":
                    server.process.send_signal(signal.SIGUSR1)
                server.loads[number].append(load(server, number, effort.seconds))
                if server.name == "exporting":
                    server.process.send_signal(signal.SIGUSR2)


def load(server: Server, connections: int, seconds: float) -> Load:
    """One round of wrk. A server that Prometheus would scrape is scraped in it, once."""
    url = f"http://127.0.0.1:{server.port}"
    scrape = threading.Timer(seconds / 2, lambda: urllib.request.urlopen(f"{url}/metrics").read())
    if server.name == "instrumentator":
        scrape.start()
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}", "--latency", f"{url}/hello/ada"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if scrape.is_alive() or scrape.finished.is_set():
        scrape.join()
    if "Non-2xx" in text or "Socket errors" in text:
        raise LostError(f"servers, {server.name}: {text.strip().splitlines()[-3:]}")
    rate = float(re.findall(r"Requests/sec: +([\d.]+)", text)[0])
    latency = dict(re.findall(r"^ +(50|99)% +(\S+) *$", text, re.MULTILINE))
    return Load(rate, _seconds(latency["50"]), _seconds(latency["99"]))


UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


def _seconds(text: str) -> float:
    number, unit = re.findall(r"^([\d.]+)(us|ms|s)$", text)[0]
    return float(number) * UNITS[unit]


def _lost(server: Server) -> float:
    """The share of the spans of all requests that has not arrived."""
    requests = server.stop()
    if server.collector is None:
        return 0.0
    expected = requests * SPANS_OF_A_REQUEST[server.name]
    arrived = server.collector.settled("otelcol_receiver_accepted_spans", expected)
    return (expected - arrived) / expected


def _throughput(servers: Mapping[str, Server], connections: int, peer: str, title: str, aim: float) -> Row:
    ours, theirs = ([each.rate for each in servers[name].loads[connections]] for name in ("with_us", peer))
    low, middle, high = quartiles([one / other for one, other in zip(ours, theirs, strict=True)])
    return Row(
        what=f"uvicorn, {connections} connection{'s' * (connections > 1)}: throughput",
        family="uvicorn: throughput",
        peer=title,
        ours=f"{quartiles(ours)[1]:.0f}/s",
        theirs=f"{quartiles(theirs)[1]:.0f}/s",
        value=middle,
        low=low,
        high=high,
        aim=aim,
        at_least=True,
    )


def _latency(servers: Mapping[str, Server], mode: str, connections: int, kind: str, title: str, aim: float) -> Row:
    ours, theirs = ([getattr(each, kind) for each in servers[name].loads[connections]] for name in (mode, "none"))
    low, middle, high = quartiles([one / other for one, other in zip(ours, theirs, strict=True)])
    return Row(
        what=f"uvicorn, {connections} connection{'s' * (connections > 1)}: {kind.upper()}{title}",
        family=f"uvicorn: {kind.upper()}{title}",
        peer="no telemetry",
        ours=f"{quartiles(ours)[1] * 1000:.2f} ms",
        theirs=f"{quartiles(theirs)[1] * 1000:.2f} ms",
        value=middle,
        low=low,
        high=high,
        aim=aim,
    )
