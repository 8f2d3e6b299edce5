"""Beside a library that has set providers before: each record goes to both, once, in one trace."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.support.receiver import Receiver, values

pytestmark = pytest.mark.processes

PROVIDERS = """
import json, logging, sys
import otel_tutor
from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

theirs = Resource.create({"service.name": "theirs"})
spans, reader, records = InMemorySpanExporter(), InMemoryMetricReader(), InMemoryLogRecordExporter()
"""
SET = """
trace.set_tracer_provider(TracerProvider(resource=theirs))
metrics.set_meter_provider(MeterProvider([reader], resource=theirs))
_logs.set_logger_provider(LoggerProvider(resource=theirs))
"""
OBSERVE = """
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(spans))
_logs.get_logger_provider().add_log_record_processor(SimpleLogRecordProcessor(records))
"""
CONFIGURE = "otel_tutor.configure(endpoint=sys.argv[1])\n"
ASK = """
from otel_tutor.monitoring import metrics_collector
from otel_tutor.tracing import rag_tracer
with trace.get_tracer("app").start_as_current_span("lesson"):
    with rag_tracer.trace_rag_query("why?", "physics"):
        metrics_collector.track_rag_query("physics", 0.1, 3, 0.2)
        logging.getLogger("app").warning("asked")
data = reader.get_metrics_data()
otel_tutor.shutdown()
scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics] if data else []
asked = [metric.data for scope in scopes for metric in scope.metrics if metric.name == "rag.queries"]
print(json.dumps({
    "spans": [span.name for span in spans.get_finished_spans()],
    "asked": [point.value for data in asked for point in data.data_points],
    "records": [record.log_record.body for record in records.get_finished_logs()],
}))
"""


def run(received: Receiver, *parts: str, **environ: str) -> tuple[dict[str, Any], str]:
    """What the neighbour's exporters got of the program, and what it logged."""
    program = "".join(map(textwrap.dedent, parts))
    strict = [] if "PYTHONPATH" in environ else ["-W", "error"]  # of ours; another library may warn
    command = [sys.executable, *strict, "-c", program, received.address]
    environment = {**os.environ, **environ}
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout), result.stderr


def assert_received_once(received: Receiver, service: str) -> None:
    lesson, question = sorted(received.spans, key=lambda span: str(span.name))
    assert (lesson.name, question.name) == ("lesson", "rag.query")
    assert (question.trace_id, question.parent_span_id) == (lesson.trace_id, lesson.span_id)
    assert [point.as_int or point.as_double for point in received.points["rag.queries"]] == [1]
    assert received.bodies == ["asked"]
    assert received.log_records[0].trace_id == lesson.trace_id
    assert service in {values(resource)["service.name"] for resource in received.resources}


def test_providers_that_were_set_before_are_joined(received: Receiver) -> None:
    theirs, logged = run(received, PROVIDERS, SET, OBSERVE, CONFIGURE, ASK)

    assert sorted(theirs["spans"]) == ["lesson", "rag.query"]
    assert theirs["asked"] == [1]
    assert_received_once(received, "theirs")
    (line,) = [line for line in logged.splitlines() if "providers were set before" in line]
    assert "joined traces (opentelemetry.sdk.trace.TracerProvider), metrics (" in line
    assert "the service is 'theirs', not 'tutor': set OTEL_SERVICE_NAME" in line


def test_a_handler_of_the_neighbour_exports_a_line_once(received: Receiver) -> None:
    handler = """
    from opentelemetry.instrumentation.logging.handler import LoggingHandler
    logging.getLogger().addHandler(LoggingHandler())
    """
    theirs, _ = run(received, PROVIDERS, SET, OBSERVE, handler, CONFIGURE, ASK, OTEL_SERVICE_NAME="theirs")

    assert theirs["records"] == ["asked"]
    assert received.bodies == ["asked"]


def test_what_comes_after_joins_ours(received: Receiver) -> None:
    theirs, logged = run(received, PROVIDERS, CONFIGURE, OBSERVE, ASK)

    assert sorted(theirs["spans"]) == ["lesson", "rag.query"]
    assert_received_once(received, "tutor")
    assert "providers were set before" not in logged


def test_providers_that_take_nothing_stop_no_app_and_are_named(received: Receiver) -> None:
    closed = """
    class Closed(metrics.MeterProvider):
        def get_meter(self, *args, **kwargs):
            return metrics.NoOpMeterProvider().get_meter("closed")
    class ClosedTracer(trace.TracerProvider):
        def get_tracer(self, *args, **kwargs):
            return trace.NoOpTracer()
    trace.set_tracer_provider(ClosedTracer())
    metrics.set_meter_provider(Closed())
    """
    _, logged = run(received, PROVIDERS, closed, CONFIGURE, ASK)

    assert [span.name for span in received.spans] == ["rag.query"]
    assert [point.as_int or point.as_double for point in received.points["rag.queries"]] == [1]
    assert received.bodies == ["asked"]
    (line,) = [line for line in logged.splitlines() if "providers were set before" in line]
    assert "joined none; traces (__main__.ClosedTracer), metrics (__main__.Closed) cannot be joined: call otel_" in line


def test_a_provider_that_refuses_what_it_is_given_stops_no_app(received: Receiver) -> None:
    refusing = """
    class Refusing(trace.TracerProvider):
        def get_tracer(self, *args, **kwargs):
            return trace.NoOpTracer()
        def add_span_processor(self, processor):
            raise RuntimeError("no more")
    trace.set_tracer_provider(Refusing())
    """
    _, logged = run(received, PROVIDERS, refusing, CONFIGURE, ASK)

    assert [span.name for span in received.spans] == ["rag.query"]
    assert "__main__.Refusing refuses to be joined: RuntimeError: no more" in logged


def test_a_service_name_that_both_have_leaves_the_instance_to_be_set(received: Receiver) -> None:
    bare = 'theirs = Resource({"service.name": "theirs"})\n'
    _, logged = run(received, PROVIDERS, bare, SET, CONFIGURE, ASK, OTEL_SERVICE_NAME="theirs")

    assert "it has no service.instance.id: where several processes serve, give each one" in logged


LOGFIRE = """
import logfire
logfire.configure(send_to_logfire=False, console=False, service_name="theirs")
"""


@pytest.fixture(scope="module")
def logfire(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the newest logfire, for the OpenTelemetry that is installed."""
    folder = tmp_path_factory.mktemp("logfire")
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(folder),
        "logfire-sdk",
        "executing",
    ]
    subprocess.run(command, check=True)
    return folder


@pytest.mark.stack  # it installs from the package index
@pytest.mark.parametrize(("parts", "service"), [((LOGFIRE, CONFIGURE), "theirs"), ((CONFIGURE, LOGFIRE), "tutor")])
def test_logfire_before_and_after(received: Receiver, logfire: Path, parts: tuple[str, str], service: str) -> None:
    """Its wrappers take processors from us; set up after us, it finds our providers in place."""
    _, logged = run(received, PROVIDERS, *parts, ASK, PYTHONPATH=str(logfire))

    assert_received_once(received, service)
    assert ("joined traces (logfire._internal.tracer.ProxyTracerProvider)" in logged) is (parts[0] == LOGFIRE)
