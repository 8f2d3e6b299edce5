"""How much the SDK may log, and in whose words."""

import logging
from collections.abc import Iterator

import pytest
from fastapi import Depends, FastAPI
from opentelemetry import trace
from starlette.testclient import TestClient

import otel_tutor
from otel_tutor.recording.guard import EXPORT_FAILING
from otel_tutor.testing import Capture
from otel_tutor.tracing import trace_operation
from tests.support.versions import SDK


@pytest.fixture
def shown() -> Iterator[list[str]]:
    """What the handlers of an app get: they are at the root logger."""
    lines: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.name}: {record.getMessage()}")

    handler = Handler()
    logging.getLogger().addHandler(handler)
    yield lines
    logging.getLogger().removeHandler(handler)


@pytest.mark.parametrize("name", ["opentelemetry.exporter.otlp", "grpc"])
def test_many_errors_of_an_exporter_are_one_line(captured: Capture, shown: list[str], name: str) -> None:
    for number in range(5):
        logging.getLogger(name).error("Failed to export,\nerror code: %s", number)

    assert shown == [f"otel_tutor: {EXPORT_FAILING}: Failed to export, error code: 0"]


def test_what_the_sdk_logs_below_a_warning_is_not_shown(captured: Capture, shown: list[str]) -> None:
    logging.getLogger("opentelemetry.sdk").info("Shutdown called")

    assert shown == []


def test_another_message_of_the_sdk_keeps_its_words_and_is_shown_once_a_minute(captured: Capture, shown: list[str]) -> None:
    with trace.get_tracer("app").start_as_current_span("work") as span:
        span.set_attributes({f"key {number}": 1 for number in range(130)})
    span.set_attribute("late", 1)

    assert shown[-1] == "opentelemetry.sdk.trace: Setting attribute on ended span."
    assert len(shown) == (2 if SDK >= (1, 45) else 1)
    assert SDK < (1, 45) or shown[0].startswith("opentelemetry.attributes: Attributes dict is full.")  # or silent


def test_a_dependency_that_ends_in_another_context_is_no_alarm(captured: Capture, shown: list[str]) -> None:
    def session() -> Iterator[int]:
        with trace.get_tracer("app").start_as_current_span("session"), trace_operation("transaction"):
            yield 1

    app = FastAPI()

    @app.get("/answer")
    def answer(number: int = Depends(session)) -> int:
        return number

    otel_tutor.configure(app)
    assert TestClient(app).get("/answer").json() == 1
    assert shown == []
    assert {span.name for span in captured.spans} == {"session", "transaction", "GET /answer"}
