"""Secrets and personal data that an app sends by mistake reach no backend, file or log."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from otel_tutor.pipeline.content import CONTENT
from otel_tutor.settings import shipped_config_dir
from otel_tutor.tools.stack.polling import wait_for
from tests.support.stack import Running

# What is planted -> the part of it that must not be found.
TEXTS = {
    "ada.lovelace@example.org": "lovelace",
    "grace.hopper%40example.org": "hopper",
    "+49 151 2345 6789": "2345 6789",
    "+12025550173": "2025550173",
    "(555) 123-4567": "123-4567",
    "555-987-6543": "987-6543",
    "078-05-1120": "05-1120",
    "4111 1111 1111 1111": "1111 1111",
    "5500005555555559": "5555555559",
    "DE89 3704 0044 0532 0130 00": "0044 0532",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl": "eyJzdWIi",
    "Bearer 0pen5esame77": "0pen5esame77",
    "Basic YWRhOmNvdW50ZXNz": "YWRhOmNvdW50ZXNz",
    "AKIAIOSFODNN7EXAMPLE": "IOSFODNN7",
    "ghp_1234567890abcdefghijABCDEFGHIJ": "1234567890abcdef",
    "glpat-aBcDeFgHiJkLmNoPqRsT": "aBcDeFgHiJk",
    "sk-proj-zYxWvUtSrQpOnMlK": "zYxWvUtSrQ",
    "hf_qwertyuiopasdfghjklzxcv": "qwertyuiopas",
    "AIzaSyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q": "A1b2C3d4E5f6",
    "xoxb-246810121416-secretpart": "246810121416",
    "-----BEGIN RSA PRIVATE KEY-----\\nMIIEowIBAAKC\\n-----END RSA PRIVATE KEY-----": "MIIEowIBAAKC",
    "postgresql://tutor:hunter2two@db/tutor": "hunter2two",
    "password=correcthorsebattery": "correcthorse",
    '"api_key": "9f8e7d6c5b4a"': "9f8e7d6c5b4a",
    "https://library.example/v1?token=tk5f4e3d2c1b&q=x": "tk5f4e3d2c1b",
}
KEYS = {
    "user.password": "swordfish",
    "http.request.header.authorization": "opaque-value-9911",
    "db.client_secret": "opaque-value-9922",
    "openai.api_key": "opaque-value-9933",
    "session_token": "opaque-value-9944",
}

PROGRAM = """
import json, logging, sys
import otel_tutor
from opentelemetry import trace
from otel_tutor.monitoring import metrics_collector
from otel_tutor.tracing import add_span_event, rag_tracer, trace_operation
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

async def show(request):
    return PlainTextResponse("seen")

app = Starlette(routes=[Route("/students/{name:path}", show)])
otel_tutor.configure(app, service_name="leaky")
log = logging.getLogger("app")
texts, keys = json.loads(sys.argv[1])
for text in texts:
    message = f"see {text} here"
    try:
        with trace_operation(message, {"note": message, "notes": [message, message]}) as span:
            add_span_event("noted", {"note": message})
            log.warning("%s", message, extra={"note": message})
            metrics_collector.track_student_activity("physics", message)
            TestClient(app, headers={"user-agent": message.encode("unicode_escape")}).get(f"/students/{text}")
            raise ValueError(message)
    except ValueError:
        log.exception("failed")
with trace_operation("keys", keys):
    log.warning("keys", extra=keys)
with rag_tracer.trace_rag_query(texts[0], "physics"):
    pass
"""


@pytest.fixture(scope="module")
def leaked(running: Running) -> str:
    """Everything there is of an app that sends what it should not, once it has arrived."""
    assert len(TEXTS) + len(KEYS) == 30
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps([list(TEXTS), KEYS])],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={
            **os.environ,
            "OTEL_EXPORTER_OTLP_ENDPOINT": running.otlp,
            "OTEL_RESOURCE_ATTRIBUTES": "contact=ada.lovelace@example.org",
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY",
        },
    )
    assert result.returncode == 0, result.stderr
    backends = running.backends

    def traces() -> str:
        return httpx2.get(f"{backends.jaeger}/api/traces", params={"service": "leaky", "limit": "500"}).text

    everything = [wait_for(traces, lambda seen: '"keys"' in seen and "rag.query" in seen, seconds=30)]
    records = wait_for(lambda: backends.logs('service.name:="leaky"'), lambda seen: len(seen) > 2 * len(TEXTS), seconds=30)
    assert len(records) > 2 * len(TEXTS)
    everything.append(json.dumps(records, ensure_ascii=False))
    series = 'student_questions_total{job="leaky"}'
    assert wait_for(lambda: backends.query(series), lambda seen: len(seen) > 0, seconds=30)
    everything.append(httpx2.get(f"{backends.prometheus}/api/v1/series", params={"match[]": '{job="leaky"}'}).text)
    everything.append(httpx2.get(f"{backends.prometheus}/api/v1/series", params={"match[]": '{service_name="leaky"}'}).text)
    return "\n".join(everything)


@pytest.mark.parametrize("needle", [*TEXTS.values(), *KEYS.values()])
def test_a_secret_is_in_no_backend(leaked: str, needle: str) -> None:
    assert needle not in leaked


def test_neither_is_it_in_a_file_or_log_of_the_stack(running: Running, leaked: str) -> None:
    for path in Path(running.stack.data).rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert [needle for needle in (*TEXTS.values(), *KEYS.values()) if needle.encode() in content] == [], path


def test_the_text_of_a_question_that_was_asked_for_is_masked_too(leaked: str) -> None:
    assert '{"key":"rag.question.text","type":"string","value":"****"}' in leaked


def test_what_is_masked_keeps_its_surroundings(leaked: str) -> None:
    assert "see **** here" in leaked
    assert '"otel_tutor.span.name"' not in leaked


# A library around a model client, in a process that otel_tutor is not in.
FOREIGN = """
import sys, time
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
spans, logs = TracerProvider(), LoggerProvider()
spans.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(insecure=True)))
logs.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(insecure=True)))
text = {"gen_ai.prompt.0.content": "swordfish", "input.value": "swordfish", "kept": "yes"}
with spans.get_tracer("library").start_as_current_span("chat gpt-x", attributes=text) as span:
    span.add_event("gen_ai.content.prompt", {"gen_ai.prompt": "swordfish"})
now = time.time_ns()
times = {"timestamp": now, "observed_timestamp": now}
text = {"body": {"content": "swordfish"}, "attributes": {"gen_ai.choice": "swordfish"}}
logs.get_logger("library").emit(LogRecord(event_name="gen_ai.user.message", **times, **text))
"""


def test_what_other_libraries_record_of_texts_reaches_no_store(running: Running) -> None:
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": running.otlp, "OTEL_SERVICE_NAME": "foreign"}
    subprocess.run([sys.executable, "-c", FOREIGN], env=environment, check=True, timeout=60)

    def traces() -> str:
        return httpx2.get(f"{running.backends.jaeger}/api/traces", params={"service": "foreign"}).text

    stored = wait_for(traces, lambda seen: "chat gpt-x" in seen, seconds=30)
    (event,) = wait_for(lambda: running.backends.logs('service.name:="foreign"'), bool, seconds=30)
    assert "swordfish" not in stored + json.dumps(event)
    assert '"kept"' in stored
    assert (event["_msg"], event["event.name"]) == ("gen_ai.user.message",) * 2


def test_the_pattern_of_texts_is_that_of_the_sdk() -> None:
    written = (shipped_config_dir() / "collector" / "privacy.yaml").read_text(encoding="utf-8")

    patterns = re.findall(r'delete_matching_keys\((?:span|spanevent|log)\.attributes, "(.*gen_ai.*)"\)', written)
    assert patterns == [CONTENT] * 3
