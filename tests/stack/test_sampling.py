"""Tail sampling keeps every error and every slow trace, and of the rest the share that its YAML says."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx2
import psutil
import pytest
import yaml

from otel_tutor.settings import shipped_config_dir
from otel_tutor.tools.stack.backends import Backends
from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.native.stack import NativeStack
from otel_tutor.tools.stack.polling import wait_for
from otel_tutor.tools.stack.ports import LOOPBACK
from tests.support.ports import unused_ports
from tests.support.stack import APP_AND_PAGE

TRACES, ERRORS, SLOW = 20_000, 200, 200

PROGRAM = f"""
import time
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

provider = TracerProvider(resource=Resource({{"service.name": "sampled"}}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), max_queue_size=50_000))
tracer = provider.get_tracer("test")
for number in range({TRACES}):
    kind = "error" if number < {ERRORS} else "slow" if number < {ERRORS + SLOW} else "probe" if number % 10 == 0 else "usual"
    now = time.time_ns()
    span = tracer.start_span(kind, kind=SpanKind.SERVER, start_time=now, attributes={{"kind": kind}})
    if kind == "error":
        span.set_status(StatusCode.ERROR)
    if kind == "probe":
        span.set_attribute("url.path", "/health/ready")
    span.end(now + (2_100_000_000 if kind == "slow" else 5_000_000))
    if number % 5000 == 4999:
        provider.force_flush()
provider.shutdown()
"""


@pytest.fixture(scope="module")
def stack(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeStack]:
    """A stack whose Collector samples."""
    ports, stack = unused_ports(), NativeStack(tmp_path_factory.mktemp("sampling"), binaries=binaries, die_with_parent=True)
    stack.up(ports, overlays=["tail-sampling"], without=APP_AND_PAGE)
    yield stack
    stack.down()


def send(stack: NativeStack, program: str) -> None:
    endpoint = f"http://{LOOPBACK}:{stack.state.ports['otlp']}"
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120, env=environment)


@pytest.fixture(scope="module")
def sampled(stack: NativeStack) -> Iterator[Backends]:
    """The stores behind it, after 20 000 traces."""
    send(stack, PROGRAM)
    with Backends(stack.state.ports) as backends:
        wait_for(lambda: kept(backends, "usual"), lambda seen: seen > 100, seconds=60)
        yield backends


def kept(backends: Backends, kind: str) -> int:
    parameters = {"service": "sampled", "operation": kind, "limit": "20000", "lookback": "1h"}
    return len(httpx2.get(f"{backends.jaeger}/api/traces", params=parameters, timeout=60).json()["data"] or ())


def settled(backends: Backends, kind: str) -> int:
    """How many are kept once the number has stood still for longer than the sampler and the queue behind it take."""
    last = [(time.monotonic(), -1)]

    def stands_still() -> bool:
        number = kept(backends, kind)
        if number != last[0][1]:
            last[:] = [(time.monotonic(), number)]
        return time.monotonic() - last[0][0] > 5

    wait_for(stands_still, bool, seconds=90)
    return last[0][1]


@pytest.mark.parametrize(("kind", "expected"), [("error", ERRORS), ("slow", SLOW), ("probe", 0)])
def test_every_error_and_every_slow_trace_is_kept_and_no_probe(sampled: Backends, kind: str, expected: int) -> None:
    assert wait_for(lambda: kept(sampled, kind), lambda seen: seen == expected, seconds=40) == expected


def test_of_the_rest_the_share_is_kept_that_the_file_says(sampled: Backends) -> None:
    overlay = yaml.safe_load((shipped_config_dir() / "collector" / "overlays" / "tail-sampling.yaml").read_text())
    (share,) = [p for p in overlay["processors"]["tail_sampling"]["policies"] if p["name"] == "share"]
    usual = TRACES - (TRACES // 10) - (ERRORS + SLOW) * 9 // 10

    assert abs(settled(sampled, "usual") / usual * 100 - share["probabilistic"]["sampling_percentage"]) < 2


def test_span_metrics_are_made_of_all_of_them(sampled: Backends) -> None:
    def calls() -> float:
        return sum(sample.value for sample in sampled.query('traces_span_metrics_calls_total{service_name="sampled"}'))

    assert wait_for(calls, lambda seen: seen == TRACES, seconds=40) == TRACES


FAILED = """
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

provider = TracerProvider(resource=Resource({"service.name": "sampled"}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
for number in range(100):
    span = provider.get_tracer("test").start_span("%s", kind=SpanKind.SERVER)
    span.set_status(StatusCode.ERROR)
    span.end()
provider.shutdown()
"""


def test_a_kill_loses_what_was_undecided_and_nothing_else(stack: NativeStack, sampled: Backends) -> None:
    send(stack, FAILED % "decided")
    assert wait_for(lambda: kept(sampled, "decided"), lambda seen: seen == 100, seconds=40) == 100
    send(stack, FAILED % "undecided")
    (victim,) = [psutil.Process(program.pid) for program in stack.status() if program.name == "collector" and program.pid]
    victim.kill()
    victim.wait()
    send(stack, FAILED % "after")
    assert wait_for(lambda: kept(sampled, "after"), lambda seen: seen == 100, seconds=60) == 100

    assert kept(sampled, "decided") == 100
    assert kept(sampled, "undecided") == 0  # the window that the overlay states
