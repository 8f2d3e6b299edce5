"""How long an app's start takes longer: processor time of imports and set-up, each in a fresh interpreter."""

import textwrap
from collections import defaultdict
from collections.abc import Mapping, Sequence

from tests.bench.processes import Effort, LostError, peers_python, plain_python, run_program
from tests.bench.table import Row, quartiles

__all__ = ["rows"]

NOWHERE = "http://127.0.0.1:9"  # nothing listens there

OURS = "import otel_tutor"
CONFIGURED = f"""
import otel_tutor
otel_tutor.configure(endpoint="{NOWHERE}")
"""
# The same without us: three signals over gRPC, a middleware, log lines; fewer metrics than ours has.
PLAIN = f"""
import logging
from opentelemetry import _logs, metrics, trace
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from starlette.applications import Starlette

tracer, logger = TracerProvider(), LoggerProvider()
tracer.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint="{NOWHERE}")))
logger.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(endpoint="{NOWHERE}")))
trace.set_tracer_provider(tracer)
metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter(endpoint="{NOWHERE}"))]))
_logs.set_logger_provider(logger)
logging.getLogger().addHandler(LoggingHandler(logging.INFO))
app = OpenTelemetryMiddleware(Starlette())
"""
LOGFIRE = "import logfire"
LOGFIRE_CONFIGURED = f"""
import os
os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "{NOWHERE}"
import logfire
from fastapi import FastAPI
logfire.configure(send_to_logfire=False, console=False)
logfire.instrument_fastapi(FastAPI())
"""
# Whether it is set up: a span that is begun has an id. Then the end, without waiting for what does not answer.
FRAME = """
import time
began, began_clock = time.process_time(), time.perf_counter()
{program}
processor, clock = time.process_time() - began, time.perf_counter() - began_clock
import json, os, sys
from opentelemetry import trace
live = trace.get_tracer("bench").start_span("span").get_span_context().is_valid
sys.stdout.write(json.dumps({{"processor": processor, "clock": clock, "live": live}}) + "\\n")
sys.stdout.flush()
os.execv("/bin/true", ["true"])
"""


def rows(effort: Effort) -> list[Row]:
    """The rows of imports."""
    programs = {
        "ours": (plain_python(), OURS),
        "logfire": (peers_python(), LOGFIRE),
        "ours configured": (plain_python(), CONFIGURED),
        "plain": (plain_python(), PLAIN),
        "logfire configured": (peers_python(), LOGFIRE_CONFIGURED),
    }
    times = _measure(programs, effort)
    low, middle, high = quartiles([each * 1000 for each in times["ours"]])
    of_import = Row(
        what="import otel_tutor, ms of processor time",
        peer="-",
        ours=f"{middle:.0f} ms",
        theirs="-",
        value=middle,
        low=low,
        high=high,
        aim=60,
    )
    start = "import and configure()"
    return [
        of_import,
        _row("import otel_tutor", "import logfire", times["ours"], times["logfire"], None),
        _row(start, "SDK set up by hand for three signals", times["ours configured"], times["plain"], 1.0),
        _row(start, "logfire, for FastAPI", times["ours configured"], times["logfire configured"], None),
    ]


def _measure(programs: Mapping[str, tuple[str, str]], effort: Effort) -> Mapping[str, Sequence[float]]:
    times: dict[str, list[float]] = defaultdict(list)
    for number in range(effort.programs + 1):
        for name, (python, program) in programs.items():
            figures = run_program(python, FRAME.format(program=textwrap.dedent(program)))
            if figures["live"] != (name not in {"ours", "logfire"}):
                raise LostError(f"{name} is not set up")
            if number:  # the first writes bytecode
                times[name].append(figures["processor"])
    return times


def _row(what: str, peer: str, ours: Sequence[float], theirs: Sequence[float], aim: float | None) -> Row:
    low, middle, high = quartiles([one / other for one, other in zip(ours, theirs, strict=True)])
    one, other = (f"{quartiles(times)[1] * 1000:.0f} ms" for times in (ours, theirs))
    return Row(what=what, peer=peer, ours=one, theirs=other, value=middle, low=low, high=high, aim=aim)
