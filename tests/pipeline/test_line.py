"""An ordinary line of log is exported as the SDK's own way exports it, and every other line goes that way."""

import logging
from collections.abc import Callable
from types import TracebackType
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.sdk._logs import LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from otel_tutor.pipeline.line import Lines, OwnLoggerProvider
from otel_tutor.pipeline.logs import ExportHandler
from otel_tutor.pipeline.values import ValidLogs
from otel_tutor.recording.state import state

LIMIT = 50
TRACER = TracerProvider(shutdown_on_exit=False).get_tracer("test")


class Odd:
    def __str__(self) -> str:
        return "odd"


def record(said: object, /, *args: Any, level: int = logging.WARNING, **extra: Any) -> logging.LogRecord:
    made = logging.LogRecord("tutor.app", level, "app.py", 1, said, args, None, "ask")
    vars(made).update(extra)
    return made


def failure() -> tuple[type[BaseException], BaseException, TracebackType | None]:
    try:
        raise ValueError("no")
    except ValueError as error:
        return type(error), error, error.__traceback__


ORDINARY = {
    "a text": record("hello"),
    "with arguments": record("%s is %d", "it", 5),
    "formatted by another handler": record("hello", message="hello", asctime="now", exc_text=None),
    "plain values beside it": record("hello", student=7, subject="physics", share=0.5, known=True, ids=("a", "b")),
    "an error": record("no", level=logging.ERROR),
    "a critical one": record("no", level=logging.CRITICAL),
    "a level of the app": record("no", level=25),
    "a level whose name has a cut character": record("no", levelname="\ud800"),
    "a level whose name is no text": record("no", levelname=5),
    "a level without a name": record("no", levelname=None),
    "letters": record("Grüße, 日本"),
}
OTHER = {
    "an object": record(Odd()),
    "a dictionary": record({"event": "asked", "subject": "physics"}),
    "arguments that do not fit": record("%d", "text"),
    "a long text": record("x" * 200),
    "a cut character": record("\ud800"),
    "a long value": record("hello", text="x" * 200),
    "an object beside it": record("hello", what=Odd()),
    "a list beside it": record("hello", ids=[1, {"a": 2}]),
    "a huge number": record("hello", number=2**70),
    "a value without a name": record("hello", **dict[str, Any]({"": 1})),
    "a value whose name is no text": record("hello"),
    "a value whose name has a cut character": record("hello", **dict[str, Any]({"\ud800": 1})),
    "many values": record("hello", **{f"key {number}": number for number in range(150)}),
    "an event": record("hello", **dict[str, Any]({"event.name": "asked"})),
    "an event by its newer name": record("hello", **dict[str, Any]({"otel.event.name": "asked"})),
    "an exception": record("no", exc_info=(ValueError, ValueError("no"), None)),
    "an exception with its traceback": record("no", exc_info=failure(), student=7),
    "a dictionary with an exception": record({"event": "asked", "exc_info": failure()[1], "ids": [1]}, student=7),
}
vars(OTHER["a value whose name is no text"])[5] = 6  # type: ignore[index]


def exported(write: Callable[[logging.Handler], object], *, lines: bool) -> tuple[list[Any], Lines]:
    kept = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
    provider = OwnLoggerProvider(Resource({"service.name": "tutor"}), shutdown_on_exit=False)
    valid = ValidLogs(LIMIT, [SimpleLogRecordProcessor(kept)])
    provider.add_own_processor(valid)
    light = Lines(provider, LIMIT, valid)
    with TRACER.start_as_current_span("request"):
        write(ExportHandler(provider, light if lines else None))
    return list(kept.get_finished_logs()), light


def encoded(log: Any) -> str:
    described = str(encode_logs([log]))
    return "\n".join(part for part in described.splitlines() if "observed_time" not in part and "_id:" not in part)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [*ORDINARY, *OTHER])
def test_it_is_exported_as_the_sdk_exports_it(name: str) -> None:
    written = (ORDINARY | OTHER)[name]
    (of_lines,), _ = exported(lambda handler: handler.handle(written), lines=True)
    (of_sdk,), _ = exported(lambda handler: handler.handle(written), lines=False)

    assert encoded(of_lines) == encoded(of_sdk)
    assert of_lines.log_record.trace_id != 0
    assert (name in OTHER) == (type(of_lines.log_record) is type(of_sdk.log_record))


@pytest.mark.parametrize("name", OTHER)
def test_any_other_line_is_left_to_the_sdk_without_a_trace(name: str) -> None:
    written: list[object] = []
    kept, light = exported(lambda _: None, lines=True)
    try:
        written.append(light.write(OTHER[name]))
    except TypeError:
        assert name == "arguments that do not fit"
    assert (any(written), kept) == (False, [])


def test_a_processor_that_the_app_adds_sees_every_line() -> None:
    seen: list[object] = []

    class Theirs(LogRecordProcessor):
        def on_emit(self, log_record: ReadWriteLogRecord) -> None:
            seen.append(log_record.log_record.body)

        def shutdown(self) -> None:
            pass

        def force_flush(self, _: int = 30_000) -> bool:
            return True

    kept = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
    provider = OwnLoggerProvider(shutdown_on_exit=False)
    valid = ValidLogs(LIMIT, [SimpleLogRecordProcessor(kept)])
    provider.add_own_processor(valid)
    handler = ExportHandler(provider, Lines(provider, LIMIT, valid))
    handler.handle(record("before"))
    provider.add_log_record_processor(Theirs())
    handler.handle(record("after"))

    assert seen == ["after"]
    assert [log.log_record.body for log in kept.get_finished_logs()] == ["before", "after"]


def test_what_the_arguments_are_later_changes_nothing() -> None:
    names = ["Ada"]

    def write(handler: logging.Handler) -> None:
        handler.handle(record("%s", names))
        names.clear()

    (log,), _ = exported(write, lines=True)

    assert log.log_record.body == "['Ada']"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("variable", ["OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"])
def test_a_line_has_as_many_values_as_the_sdk_is_set_to_keep(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "2")
    written = record("hello", one=1, two=2, three=3)
    (of_lines,), light = exported(lambda handler: handler.handle(written), lines=True)
    (of_sdk,), _ = exported(lambda handler: handler.handle(written), lines=False)

    assert encoded(of_lines) == encoded(of_sdk)
    assert light.write(record("hello", one=1, two=2))


def test_arguments_that_do_not_fit_are_no_failure_of_telemetry() -> None:
    before = state.internal_errors
    (log,), _ = exported(lambda handler: handler.handle(OTHER["arguments that do not fit"]), lines=True)

    assert log.log_record.body == "%d"
    assert state.internal_errors == before
