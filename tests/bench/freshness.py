"""How long after it is recorded a measurement is visible in Prometheus, through our Collector as it is shipped."""

import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import yaml

from otel_tutor.settings import DEFAULT_METRIC_INTERVAL_MS
from otel_tutor.tools.stack.polling import wait_for
from otel_tutor.tools.stack.ports import LOOPBACK
from otel_tutor.tools.stack.readiness import answers
from tests.bench.collectors import merged_configuration, start
from tests.bench.otelcol import binaries
from tests.bench.processes import REPOSITORY, Effort, LostError, clean_environment, plain_python
from tests.bench.table import Row, quartiles
from tests.support.ports import unused_ports

__all__ = ["rows"]

APART = 0.37  # seconds between two measurements: no share of the intervals, so that every phase of them occurs
POLL = 0.05  # seconds between two looks
PATIENCE = 30.0  # seconds after which a measurement is lost

APP = """
import sys
import otel_tutor
from otel_tutor.monitoring import metrics_collector
otel_tutor.configure(cardinality_limits={"tutor.subject": 1000})
print("ready", flush=True)
for line in sys.stdin:
    metrics_collector.track_rag_query(line.strip(), 0.1, 5, 1.4)
"""


def rows(effort: Effort) -> list[Row]:
    """The row of freshness."""
    samples = 7 * effort.loads
    shipped = yaml.safe_load((REPOSITORY / "collector/backends/prometheus.yaml").read_text(encoding="utf-8"))
    scrape = float(str(shipped["global"]["scrape_interval"]).removesuffix("s"))
    export = DEFAULT_METRIC_INTERVAL_MS / 1000
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        _, collector, _ = start(stack, Path(folder) / "collector", "ours", merged_configuration())
        page = stack.enter_context(_prometheus(Path(folder), collector.ports["metrics"], scrape))
        seconds: list[float] = []
        for number in range(effort.starts):  # the phases of export and scrape to each other differ
            with _app(Path(folder), collector.grpc) as app:
                seconds += _watch(app, page, samples, f"start {number}")
    seconds.sort()
    low, middle, high = quartiles(seconds)
    p95 = seconds[round(0.95 * (len(seconds) - 1))]
    return [
        Row(
            what=f"recorded until visible in Prometheus, P95 of {len(seconds)}, s",
            peer=f"export {export:g} s + scrape {scrape:g} s + 1 s",
            ours=f"{p95:.1f} s (median {middle:.1f} s, worst {seconds[-1]:.1f} s)",
            theirs="-",
            value=p95,
            low=low,
            high=high,
            aim=export + scrape + 1,
        )
    ]


@contextmanager
def _prometheus(folder: Path, port: int, scrape: float) -> Iterator[str]:
    """A Prometheus that scrapes a Collector as often as ours does, at this address."""
    job = {"job_name": "app", "honor_labels": True, "static_configs": [{"targets": [f"{LOOPBACK}:{port}"]}]}
    file = folder / "prometheus.yaml"
    file.write_text(yaml.safe_dump({"global": {"scrape_interval": f"{scrape:g}s"}, "scrape_configs": [job]}))
    address = f"{LOOPBACK}:{unused_ports()['prometheus']}"
    options = [f"--config.file={file}", f"--storage.tsdb.path={folder / 'prometheus'}", f"--web.listen-address={address}"]
    with (folder / "prometheus.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen([str(binaries()["prometheus"]), *options], stdout=log, stderr=log)
    try:
        if not wait_for(lambda: answers(f"http://{address}/-/ready"), bool, seconds=30):
            raise RuntimeError("Prometheus does not answer")
        yield f"http://{address}/api/v1/query"
    finally:
        process.kill()
        process.wait()


@contextmanager
def _app(folder: Path, endpoint: str) -> Iterator["subprocess.Popen[str]"]:
    """An app that records a question of each subject that it is sent."""
    environ = clean_environment(str(folder / "app"), {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint})
    process = subprocess.Popen(
        [plain_python(), "-c", APP], env=environ, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait()


def _watch(app: "subprocess.Popen[str]", page: str, samples: int, name: str) -> Sequence[float]:
    """Seconds until each measurement was seen. Raises LostError."""
    assert app.stdin is not None
    recorded: dict[str, float] = {}
    seen: dict[str, float] = {}
    last = 0.0
    while len(seen) < samples:
        now = time.monotonic()
        if len(recorded) < samples and now - last >= APART:
            subject = f"{name}, subject {len(recorded)}"
            app.stdin.write(f"{subject}\n")
            app.stdin.flush()
            recorded[subject] = last = time.monotonic()
        elif recorded and now - last > PATIENCE:
            raise LostError(f"freshness: {samples - len(seen)} measurements of {samples} were never seen")
        found = httpx2.get(page, params={"query": "rag_queries_total"}).json()["data"]["result"]
        for subject in {series["metric"]["subject"] for series in found} & recorded.keys() - seen.keys():
            seen[subject] = time.monotonic() - recorded[subject]
        time.sleep(POLL)
    return list(seen.values())
