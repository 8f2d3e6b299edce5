"""Beside another SDK, set up before or after: its spans and ours are one trace, and each request counts once."""

import functools
import os
import subprocess
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.support.environments import environment
from tests.support.receiver import Receiver, http_receiver, receiver

pytestmark = pytest.mark.guests

SERVICE = "lessons"


@dataclass(frozen=True)
class Neighbour:
    """Another SDK: what is installed, how it is set up with an exporter to `sys.argv[2]`, and how it makes a span."""

    packages: tuple[str, ...]
    set_up: str
    span: str
    reaches_us_after: bool = True  # set up after us, its spans do
    exports_after: bool = True  # set up after us, its backend gets the spans of both
    command: tuple[str, ...] = ()


NEIGHBOURS = {
    "logfire": Neighbour(
        ("logfire[fastapi]",),
        """
        import logfire
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor

        theirs = SimpleSpanProcessor(OTLPSpanExporter(sys.argv[2] + "/v1/traces"))
        logfire.configure(send_to_logfire=False, console=False, service_name="lessons", additional_span_processors=[theirs])
        logfire.instrument_fastapi(app)
        """,
        "logfire.span('neighbour')",
        reaches_us_after=False,  # it has a provider of its own, which is then not the process's
        exports_after=False,
    ),
    "langfuse": Neighbour(
        ("langfuse",),
        """
        from langfuse import Langfuse

        langfuse = Langfuse(public_key="pk", secret_key="sk", base_url=sys.argv[2], should_export_span=lambda span: True)
        """,
        "langfuse.start_as_current_observation(name='neighbour')",
    ),
    "arize-phoenix-otel": Neighbour(
        ("arize-phoenix-otel",),
        """
        import phoenix.otel

        phoenix.otel.register(endpoint=sys.argv[2] + "/v1/traces", protocol="http/protobuf", verbose=False)
        """,
        "trace.get_tracer('phoenix').start_as_current_span('neighbour')",
        exports_after=False,  # nor is this one
    ),
    "traceloop-sdk": Neighbour(
        ("traceloop-sdk",),
        """
        from traceloop.sdk import Traceloop

        Traceloop.init("lessons", api_endpoint=sys.argv[2], api_key="key", disable_batch=True, telemetry_enabled=False)
        """,
        "trace.get_tracer('traceloop').start_as_current_span('neighbour')",
    ),
    "openlit": Neighbour(
        ("openlit",),
        """
        import openlit

        openlit.init(application_name="lessons", otlp_endpoint=sys.argv[2], disable_batch=True, disable_metrics=True)
        """,
        "openlit.start_trace('neighbour')",
        exports_after=False,  # it uses a provider that is there, and its exporters
    ),
    "opentelemetry-distro": Neighbour(
        ("opentelemetry-distro", "opentelemetry-instrumentation-fastapi", "opentelemetry-instrumentation-starlette"),
        "",
        "trace.get_tracer('distro').start_as_current_span('neighbour')",
        command=("opentelemetry-instrument",),
    ),
}
PROGRAM = """
import logging, os, sys
from fastapi import FastAPI
from opentelemetry import trace
import otel_tutor
from otel_tutor.rag import observe_question

app = FastAPI()


@app.get("/lesson")
def lesson():
    with {span}:
        with observe_question("why?", "physics") as question, question.generation("gpt-x") as generation:
            generation.output_tokens = 30
    return "because"


{first}
{second}
from starlette.testclient import TestClient
client = TestClient(app)
for _ in range(2):
    assert client.get("/lesson").status_code == 200
otel_tutor.shutdown()
provider = trace.get_tracer_provider()
getattr(provider, "force_flush", lambda: None)()
print("answered")
os._exit(0)  # some neighbours wait for their servers at exit
"""
CONFIGURE = 'logging.basicConfig(level="INFO")\notel_tutor.configure(app, endpoint=sys.argv[1], instrument=False)\n'


@pytest.fixture(scope="session")
def python() -> Callable[[str], Path]:
    """The interpreter of an environment with the newest release of a neighbour beside otel_tutor."""
    return functools.cache(lambda name: environment(name, *NEIGHBOURS[name].packages))


@pytest.fixture
def theirs(name: str) -> Iterator[Receiver]:
    """Where the neighbour sends its traces."""
    with receiver() if NEIGHBOURS[name].command else http_receiver() as running:
        yield running


@pytest.fixture
def ours() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


def run(python: Path, neighbour: Neighbour, ours: Receiver, theirs: Receiver, *parts: str) -> str:
    """What a program with these parts logs."""
    first, second = map(textwrap.dedent, parts)
    program = PROGRAM.format(first=first, second=second, span=neighbour.span)
    command = [python.parent / neighbour.command[0], *neighbour.command[1:], python] if neighbour.command else [python]
    environment = {**os.environ, "OTEL_SERVICE_NAME": SERVICE}
    if neighbour.command:
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = theirs.address
    arguments = [*command, "-c", program, ours.address, theirs.address]
    result = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert result.stdout.rstrip().endswith("answered"), result.stderr
    return result.stderr


def assert_one_trace_for_each_request(received: Receiver, *wanted: str) -> None:
    by_trace: dict[bytes, list[str]] = {}
    for span in received.spans:
        by_trace.setdefault(span.trace_id, []).append(span.name)
    for names in by_trace.values():
        assert [names.count(name) for name in wanted] == [1] * len(wanted), names
    assert len(by_trace) == 2


def counted(received: Receiver, name: str) -> float:
    """The last count: it is exported again and again."""
    return max(float(getattr(point, "count", 0) or getattr(point, "as_double", 0)) for point in received.points[name])


ORDERS = [
    (name, order)
    for name, neighbour in NEIGHBOURS.items()
    for order in ("before", "after")
    if order == "before" or not neighbour.command  # opentelemetry-instrument sets its providers up before the program begins
]


@pytest.mark.parametrize(("name", "order"), ORDERS)
def test_spans_of_both_are_one_trace_and_requests_count_once(
    name: str, order: str, python: Callable[[str], Path], ours: Receiver, theirs: Receiver
) -> None:
    neighbour, is_first = NEIGHBOURS[name], order == "before"
    parts = (neighbour.set_up, CONFIGURE) if is_first else (CONFIGURE, neighbour.set_up)
    logged = run(python(name), neighbour, ours, theirs, *parts)

    own = ("GET /lesson", "rag.query", "chat gpt-x")
    assert_one_trace_for_each_request(ours, *own, *(["neighbour"] if is_first or neighbour.reaches_us_after else []))
    assert counted(ours, "http.server.request.duration") == 2
    assert counted(ours, "rag.queries") == 2
    assert ("providers were set before configure(): joined traces" in logged) is is_first
    if is_first or neighbour.exports_after:
        assert_one_trace_for_each_request(theirs, *own, "neighbour")


def test_the_command_opentelemetry_instrument_leaves_the_providers_to_us(
    python: Callable[[str], Path], ours: Receiver
) -> None:
    neighbour = NEIGHBOURS["opentelemetry-distro"]
    command = replace(neighbour, command=(*neighbour.command, "--configurator", "none"))
    logged = run(python("opentelemetry-distro"), command, ours, ours, "", CONFIGURE)

    assert_one_trace_for_each_request(ours, "GET /lesson", "rag.query", "neighbour")
    assert "providers were set before" not in logged


STARLETTE = """
import sys
import otel_tutor, starlette.applications
from opentelemetry.instrumentation.starlette import StarletteInstrumentor
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

{every}
app = starlette.applications.Starlette()
app.add_route("/lesson", lambda request: PlainTextResponse("because"))
{before}
otel_tutor.configure(app, endpoint=sys.argv[1], instrument=False)
{after}
TestClient(app).get("/lesson")
"""
EACH = "StarletteInstrumentor.instrument_app(app)"


@pytest.mark.parametrize("where", ["every", "before", "after"])
def test_a_starlette_app_that_is_instrumented_too_is_observed_once(
    where: str, python: Callable[[str], Path], ours: Receiver
) -> None:
    lines = {
        "every": "",
        "before": "",
        "after": "",
        where: "StarletteInstrumentor().instrument()" if where == "every" else EACH,
    }
    command = [str(python("opentelemetry-distro")), "-c", STARLETTE.format(**lines), ours.address]
    subprocess.run(command, check=True, timeout=60, capture_output=True)

    assert [span.name for span in ours.spans] == ["GET /lesson"]
    assert counted(ours, "http.server.request.duration") == 1
