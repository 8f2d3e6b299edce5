"""Memory that telemetry adds to an app, as its processes' own pages: idle, with 1,000 series, and with 10,000 spans queued.

Each figure is of a fresh process, less that of the app alone. Afterwards all that was queued is sent, and counted.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from tests.bench.processes import Effort, LostError, peers_python, plain_python, run_program
from tests.bench.table import Row, quartiles
from tests.support.receiver import Receiver, http_receiver, receiver

__all__ = ["rows"]

SERIES = 1000
SPANS = 10_000
WARM = 100  # requests before anything is measured
# The queue holds them all, and none leaves it while this runs.
ENVIRON = {
    "OTEL_BSP_MAX_QUEUE_SIZE": str(2 * SPANS),
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": str(2 * SPANS),
    "OTEL_BSP_SCHEDULE_DELAY": "600000",
    "OTEL_METRIC_EXPORT_INTERVAL": "600000",
}

FASTAPI = """
import fastapi
app = fastapi.FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})
@app.get("/hello/{name}")
async def greet(name: str):
    return "hello"
"""
SETUP = {
    "bare": "flush = lambda: None\n",
    "ours": """
import otel_tutor
flush = lambda: otel_tutor.flush(60)
otel_tutor.configure(app, cardinality_limits={"tutor.subject": 2000})
""",
    "contrib": """
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
tracer, logger = TracerProvider(), LoggerProvider()
tracer.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
logger.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
trace.set_tracer_provider(tracer)
metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())]))
_logs.set_logger_provider(logger)
import logging
logging.getLogger().addHandler(LoggingHandler(logging.INFO))
app = OpenTelemetryMiddleware(app, exclude_spans=["send", "receive"])
flush = lambda: (tracer.force_flush(), metrics.get_meter_provider().force_flush())
""",
    "logfire": """
import logfire
logfire.configure(send_to_logfire=False, console=False)
logfire.instrument_fastapi(app)
flush = logfire.force_flush
""",
}
# A counter and three histograms for each subject, and a span a request.
RECORD = {
    "ours": """
from otel_tutor.monitoring import metrics_collector
def record(subject):
    metrics_collector.track_rag_query(subject, .1, 5, 1.)
""",
    "contrib": """
from opentelemetry import metrics
meter = metrics.get_meter("bench")
counter = meter.create_counter("queries")
histograms = [meter.create_histogram(name) for name in ("a", "b", "c")]
def record(subject):
    counter.add(1, {"subject": subject, "status": "success"})
    for histogram in histograms:
        histogram.record(.1, {"subject": subject})
""",
    "bare": "record = lambda subject: None",
}
MEASURE = """
import asyncio, gc, json, sys
def used():
    gc.collect()
    with open("/proc/self/smaps_rollup") as lines:
        return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
async def send(_): pass
async def receive(): return {{"type": "http.request", "body": b"", "more_body": False}}
async def serve(times):
    for _ in range(times):
        scope = {{"type": "http", "asgi": {{"version": "3.0"}}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": "/hello/ada", "raw_path": b"/hello/ada", "query_string": b"", "root_path": "",
            "headers": [(b"host", b"tutor.example"), (b"user-agent", b"bench")], "client": ("127.0.0.1", 5),
            "server": ("127.0.0.1", 8)}}
        await app(scope, receive, send)
asyncio.run(serve({warm}))
figures = {{"idle": used()}}
for number in range({series} // 4):
    record(f"subject {{number}}")
figures["series"] = used() - figures["idle"]
before = used()
asyncio.run(serve({spans}))
figures["spans"] = used() - before
sys.stdout.write(json.dumps(figures) + "\\n")
sys.stdout.flush()
flush()
import os
os.execv("/bin/true", ["true"])
"""


def rows(effort: Effort) -> list[Row]:
    """The rows of memory."""
    figures = _measure(effort)
    titles = {"idle": "memory, idle", "series": f"memory of {SERIES:,} series", "spans": f"memory of {SPANS:,} queued spans"}
    return [_row(title, peer, figures, kind) for kind, title in titles.items() for peer in ("logfire", "contrib")]


def _measure(effort: Effort) -> Mapping[str, Sequence[Mapping[str, float]]]:
    figures: dict[str, list[Mapping[str, float]]] = defaultdict(list)
    programs = {
        name: FASTAPI + setup + RECORD.get(name, RECORD["contrib"]) + MEASURE.format(series=SERIES, spans=SPANS, warm=WARM)
        for name, setup in SETUP.items()
    }
    with receiver(largest=-1) as by_grpc, http_receiver() as by_http:
        for _ in range(max(2, effort.programs // 3)):
            for name, program in programs.items():
                is_http = name == "logfire"
                python, arrived = (peers_python(), by_http) if is_http else (plain_python(), by_grpc)
                arrived.clear()
                figures[name].append(
                    run_program(python, program, {**ENVIRON, "OTEL_EXPORTER_OTLP_ENDPOINT": arrived.address})
                )
                _check(name, arrived)
    return figures


def _check(name: str, arrived: Receiver) -> None:
    """Raise LostError unless all that was recorded has arrived."""
    counts = len(arrived.spans), len(arrived.points.get("rag.queries", [])) + len(arrived.points.get("queries", []))
    expected = (0, 0) if name == "bare" else (WARM + SPANS, SERIES // 4)
    if counts != expected:
        raise LostError(f"memory, {name}: {counts} spans and series instead of {expected}")


def _row(what: str, peer: str, figures: Mapping[str, Sequence[Mapping[str, float]]], kind: str) -> Row:
    ours, theirs, bare = ([each[kind] for each in figures[name]] for name in ("ours", peer, "bare"))
    pairs = [(one - none, other - none) for one, other, none in zip(ours, theirs, bare, strict=True)]
    if any(one <= 0 for one, _ in pairs):
        raise LostError(f"{what}: nothing was kept")
    low, middle, high = quartiles([one / other for one, other in pairs])
    one, other = (f"{quartiles(values)[1] / 1e6:.1f} MB" for values in zip(*pairs, strict=True))
    return Row(what=what, peer=peer, ours=one, theirs=other, value=middle, low=low, high=high, aim=0.8)
