"""What clients do is no failure, what the service does is one, and its span says which."""

import asyncio
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import HTTPException as FastAPIException
from opentelemetry.trace import StatusCode
from starlette.exceptions import HTTPException, WebSocketException
from starlette.requests import ClientDisconnect
from starlette.websockets import WebSocketDisconnect

from otel_tutor.rag import observe_question
from otel_tutor.recording.outcome import outcome_of
from otel_tutor.settings import DEFAULT_VALUE_LIMIT
from otel_tutor.testing import Capture
from otel_tutor.tracing import rag_tracer, trace_model_inference, trace_operation


class ModelError(Exception):
    """What clients of models raise: the status is that of the answer they received."""

    status_code = 429


OUTCOMES: list[tuple[BaseException | None, str]] = [
    (None, "success"),
    (ValueError(), "error"),
    (TimeoutError(), "error"),
    (KeyboardInterrupt(), "error"),
    (GeneratorExit(), "cancelled"),
    (asyncio.CancelledError(), "cancelled"),
    (SystemExit(), "cancelled"),
    (SystemExit(0), "cancelled"),
    (SystemExit(1), "error"),
    (SystemExit("no configuration"), "error"),
    (HTTPException(404), "cancelled"),
    (FastAPIException(413), "cancelled"),
    (HTTPException(307), "cancelled"),
    (HTTPException(500), "error"),
    (FastAPIException(503), "error"),
    (ModelError(), "error"),
    (ClientDisconnect(), "cancelled"),
    (WebSocketDisconnect(1006), "cancelled"),
    (WebSocketException(1008), "cancelled"),
    (WebSocketException(1011), "error"),
    (ExceptionGroup("both", [HTTPException(404), HTTPException(422)]), "cancelled"),
    (ExceptionGroup("both", [HTTPException(404), ExceptionGroup("one", [ValueError()])]), "error"),
    (BaseExceptionGroup("both", [asyncio.CancelledError(), GeneratorExit()]), "cancelled"),
]


@pytest.mark.parametrize(
    ("error", "outcome"), OUTCOMES, ids=lambda value: value if isinstance(value, str) else type(value).__name__
)
def test_an_exception_is_to_blame_on_the_service_or_not(error: BaseException | None, outcome: str) -> None:
    assert outcome_of(error) == outcome


def test_an_exception_of_another_framework_is_known_by_its_name_and_status() -> None:
    answer = type("NotFoundException", (type("HTTPException", (Exception,), {}),), {"status_code": 404})

    assert outcome_of(answer()) == "cancelled"
    assert outcome_of(type("HTTPException", (Exception,), {})()) == "error"
    assert outcome_of(type("HTTPException", (Exception,), {"status_code": "odd"})()) == "error"


BLOCKS = {
    "operation": lambda: trace_operation("work"),
    "question": lambda: rag_tracer.trace_rag_query("why?", "physics"),
    "retrieval": lambda: rag_tracer.trace_retrieval("why?"),
    "generation": lambda: rag_tracer.trace_generation(1),
    "model": lambda: trace_model_inference("llama", "q4"),
    "observed question": lambda: observe_question("why?", "physics"),
}


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
@pytest.mark.parametrize(
    ("error", "status"), [(HTTPException(404), StatusCode.UNSET), (HTTPException(502), StatusCode.ERROR)]
)
def test_a_client_error_raised_in_a_block_is_none_of_its_span(
    captured: Capture, block: Any, error: HTTPException, status: StatusCode
) -> None:
    with pytest.raises(HTTPException), block():
        raise error

    (span,) = captured.spans
    assert (span.status.status_code, len(span.events)) == (status, int(status is StatusCode.ERROR))


def test_a_question_that_is_refused_is_neither_answered_nor_failed(captured: Capture) -> None:
    with pytest.raises(HTTPException), observe_question("why?" * 1000, "physics"):
        raise HTTPException(413, "question too long")

    assert captured.value("rag_queries_total") == captured.value("rag_queries_total", status="cancelled") == 1


class SilentError(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


class ClasslessError(Exception):
    @property  # type: ignore[misc]  # of a class that cannot be read, which no type allows
    def __class__(self) -> Any:
        raise ValueError("no class")


ODD: dict[str, Callable[[], Exception]] = {
    "no text": SilentError,
    "no class": ClasslessError,
    "half a character": lambda: ValueError("phys\ud83d"),
    "a long text": lambda: ValueError("x" * 10**6),
}


@pytest.mark.parametrize("make", ODD.values(), ids=ODD)  # pytest would read the class and the text of an exception
@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_an_odd_exception_arrives_unchanged_and_its_span_has_an_event(
    captured: Capture, block: Any, make: Callable[[], Exception]
) -> None:
    error = make()
    caught: BaseException | None = None
    try:
        with block():
            raise error
    except Exception as raised:
        caught = raised

    assert caught is error
    (span,) = captured.spans
    (event,) = span.events
    assert event.attributes is not None
    assert str(event.attributes["exception.type"]).endswith(type(error).__name__)
    assert all(len(str(value)) <= DEFAULT_VALUE_LIMIT for value in event.attributes.values())
    assert span.status.description is not None
    assert span.status.description.startswith(type(error).__name__)


def test_the_event_of_an_exception_is_that_of_the_semantic_conventions(captured: Capture) -> None:
    try:
        with trace_operation("work"):
            raise LookupError("no passage")
    except LookupError as error:
        last_line = traceback.format_exception_only(error)[-1]

    (event,) = captured.spans[0].events
    assert event.attributes is not None
    assert event.name == "exception"
    assert event.attributes["exception.type"] == "LookupError"
    assert event.attributes["exception.message"] == "no passage"
    stack_trace = str(event.attributes["exception.stacktrace"])
    assert stack_trace.startswith("Traceback")
    assert stack_trace.endswith(last_line)


def test_the_span_of_what_failed_says_the_type_of_its_error(captured: Capture) -> None:
    with pytest.raises(ModelError), observe_question("Why?", "physics") as question, question.generation("small"):
        raise ModelError
    with pytest.raises(ValueError, match="mine"), trace_operation("mine", {"error.type": "my_word"}):
        raise ValueError("mine")

    types = {span.name: (span.attributes or {}).get("error.type") for span in captured.spans}
    assert types.pop("mine") == "my_word"
    assert set(types) == {"rag.query", "rag.generation", "chat small"}
    assert all(str(name).endswith("ModelError") for name in types.values())
