"""What the Collector has acknowledged arrives, though it and the stores behind it are killed on the way."""

import os
import signal
import subprocess
import sys

import psutil

from otel_tutor.tools.stack.polling import wait_for
from tests.support.stack import Running

BATCHES, EACH = 100, 100

# Sends batches of spans and of log records until each is acknowledged, and prints after each how many were.
PROGRAM = f"""
import time
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

resource = Resource({{"service.name": "durable"}})
spans, logs = InMemorySpanExporter(), InMemoryLogRecordExporter()
tracers, loggers = TracerProvider(resource=resource), LoggerProvider(resource=resource)
tracers.add_span_processor(SimpleSpanProcessor(spans))
loggers.add_log_record_processor(SimpleLogRecordProcessor(logs))
tracer, logger = tracers.get_tracer("test"), loggers.get_logger("test")
to_traces, to_logs = OTLPSpanExporter(timeout=2), OTLPLogExporter(timeout=2)
for batch in range({BATCHES}):
    with tracer.start_as_current_span("batch") as root:
        trace_id = format(root.get_span_context().trace_id, "032x")
        for number in range({EACH} - 1):
            with tracer.start_span("item"):
                pass
    for number in range({EACH}):
        now = time.time_ns()
        record = LogRecord(timestamp=now, observed_timestamp=now, severity_number=SeverityNumber.INFO, body="item")
        record.attributes = {{"item": str(batch * {EACH} + number)}}
        logger.emit(record)
    for exporter, kept in ((to_traces, spans.get_finished_spans()), (to_logs, logs.get_finished_logs())):
        while exporter.export(kept).name != "SUCCESS":
            time.sleep(0.1)
    spans.clear()
    logs.clear()
    print(trace_id, flush=True)
"""


def kill(running: Running, name: str) -> None:
    victim = psutil.Process(running.pid(name))
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    assert wait_for(lambda: running.pid(name), lambda pid: pid != victim.pid, seconds=20) != victim.pid


def test_ten_thousand_spans_and_log_records_survive_every_kill(running: Running) -> None:
    command = [sys.executable, "-c", PROGRAM]
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": running.otlp, "OTEL_EXPORTER_OTLP_INSECURE": "true"}
    traces: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as sender:
        assert sender.stdout
        for line in sender.stdout:
            traces.append(line.strip())
            if len(traces) in {20, 50, 80}:
                kill(running, "collector")
            if len(traces) in {30, 60}:
                running.stack.supervisor.stop_program("jaeger")
                running.stack.supervisor.stop_program("victorialogs")
            if len(traces) in {45, 75}:
                running.stack.supervisor.start_program("jaeger")
                running.stack.supervisor.start_program("victorialogs")
    assert (sender.returncode, len(traces)) == (0, BATCHES)

    def missing() -> list[str]:
        return [trace for trace in traces if len({span.span_id for span in running.backends.trace(trace)}) < EACH]

    def counts() -> tuple[int, int]:
        (answer,) = running.backends.logs('service.name:="durable" | stats count() all, count_uniq(item) different')
        return int(answer["different"]), int(answer["all"])

    assert wait_for(missing, lambda seen: seen == [], seconds=60) == []
    different, kept = wait_for(counts, lambda seen: seen[0] == BATCHES * EACH, seconds=60)
    assert different == BATCHES * EACH
    assert kept - different <= BATCHES * EACH * 0.1  # a batch that was stored but not yet crossed out is sent again
