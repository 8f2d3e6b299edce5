"""The three signals as records that can be sent one by one: what a batch consists of, and how its records are encoded."""

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol, TypeVar

from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, Status

from otel_tutor.pipeline.changed_span import changed
from otel_tutor.pipeline.encoding import encode_light
from otel_tutor.pipeline.joining import join_logs, join_spans
from otel_tutor.pipeline.turns import in_turns
from otel_tutor.pipeline.values import made_valid, valid_attributes, valid_name, valid_scope, valid_text

__all__ = ["Logs", "Signal", "Spans", "family_of", "parts_of", "valid_all"]

Item = TypeVar("Item")

_PART: Final = 16  # records that are encoded in a turn
_CUT_BEFORE: Final = sys.maxsize  # the SDK cuts the attributes of a span as they are set


class Signal(Protocol):
    """How the records of one signal are sent."""

    @property
    def name(self) -> str:
        """What OpenTelemetry calls it."""

    @property
    def record(self) -> str:
        """What one of its records is called."""

    @property
    def response(self) -> Any:
        """The type of the receiver's answers."""

    @property
    def is_kept(self) -> bool:
        """Whether records wait for a receiver that is away; newer ones take the place of those that do not."""

    def client(self, channel: Any) -> Any:
        """What sends requests over a gRPC channel."""

    def split(self, data: Any) -> Sequence[Any]:
        """What an exporter is given, as records; their values are valid as far as they can be."""

    def join(self, records: Sequence[Any]) -> Any:
        """Records as an exporter is given them."""

    def encode(self, records: Sequence[Any]) -> Any:
        """The request for these records. Raises whatever the encoder raises for a record that it cannot encode."""

    def taken(self) -> None:
        """Note that all of what was split last has been taken."""

    def farewell(self, records: Sequence[Any]) -> Any:
        """What is sent after these, for processes that have ended; None for nothing."""

    def rejected(self, response: Any) -> int:
        """How many records of a request the receiver says it left out."""

    def describe(self, record: Any) -> str:
        """Which record it is, without anything that a student may have written."""


class Spans:
    """Spans; the description of a status has at most `limit` characters."""

    name: Final = "traces"
    record: Final = "span"
    response: Final = ExportTraceServiceResponse
    is_kept: Final = True

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def client(self, channel: Any) -> Any:
        """What sends requests over a gRPC channel."""
        return TraceServiceStub(channel)  # type: ignore[no-untyped-call]  # generated without types

    def split(self, data: Sequence[ReadableSpan]) -> Sequence[ReadableSpan]:
        """The spans as they are."""
        return data

    def join(self, records: Sequence[ReadableSpan]) -> Sequence[ReadableSpan]:
        """The spans, with valid values."""
        return [made_valid(self._valid, span) for span in records]

    def encode(self, records: Sequence[ReadableSpan]) -> Any:
        """A request for these spans, with valid values."""
        request, others = encode_light(records)
        if others:
            join_spans(request, encode_spans(self.join(others)))
        return request

    def taken(self) -> None:
        """Nothing is kept of them."""

    def farewell(self, _: Sequence[Any]) -> None:
        """Nothing stands for a process that has ended."""

    def rejected(self, response: Any) -> int:
        """How many spans the receiver left out."""
        return int(response.partial_success.rejected_spans)

    def describe(self, record: ReadableSpan) -> str:
        """Its name: the app's own words, and no student's."""
        return f"{valid_name(record.name)[:100]!r}"

    def _valid(self, span: ReadableSpan) -> ReadableSpan:
        limit = self._limit
        before = (span.name, span.status, span.attributes, span.events, span.links, span.instrumentation_scope)
        name, status, attributes, events, links, scope = before
        description = status.description
        if description is not None and (text := valid_text(description, limit)) != description:
            status = Status(status.status_code, text)
        after = (
            valid_name(name),
            status,
            valid_attributes(attributes, _CUT_BEFORE),
            valid_all(events, _valid_event),
            valid_all(links, _valid_link),
            valid_scope(scope, limit),
        )
        unchanged = after[0] == name and all(new is old for new, old in zip(after[1:], before[1:], strict=True))
        names = ("name", "status", "attributes", "events", "links", "instrumentation_scope")
        return span if unchanged else changed(span, **dict(zip(names, after, strict=True)))


def family_of(scope: InstrumentationScope | None) -> str:
    """The first word of a scope's name: a library may name the scopes of its spans and of its metrics differently."""
    return scope.name.partition(".")[0] if scope is not None else ""


def parts_of(records: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """The records that are encoded in a turn each."""
    return (records[start : start + _PART] for start in range(0, len(records), _PART))


def valid_all(items: Sequence[Item], make_valid: Callable[[Item], Item]) -> Sequence[Item]:
    """The items, each made valid; the same sequence where all of them are."""
    valid = [make_valid(item) for item in items]
    return items if all(new is old for new, old in zip(valid, items, strict=True)) else valid


def _valid_event(event: Event) -> Event:
    name, attributes = valid_name(event.name), valid_attributes(event.attributes, _CUT_BEFORE)
    if name == event.name and attributes is event.attributes:
        return event
    return Event(name, attributes, event.timestamp)


def _valid_link(link: Link) -> Link:
    attributes = valid_attributes(link.attributes, _CUT_BEFORE)
    return link if attributes is link.attributes else Link(link.context, attributes)


class Logs:
    """Log records; `ValidLogs` has made their values valid as they were written."""

    name: Final = "logs"
    record: Final = "log record"
    response: Final = ExportLogsServiceResponse
    is_kept: Final = True

    def client(self, channel: Any) -> Any:
        """What sends requests over a gRPC channel."""
        return LogsServiceStub(channel)  # type: ignore[no-untyped-call]  # generated without types

    def split(self, data: Sequence[ReadableLogRecord]) -> Sequence[ReadableLogRecord]:
        """The log records as they are."""
        return data

    def join(self, records: Sequence[ReadableLogRecord]) -> Sequence[ReadableLogRecord]:
        """The log records as they are."""
        return records

    def encode(self, records: Sequence[ReadableLogRecord]) -> Any:
        """A request for these log records."""
        request = ExportLogsServiceRequest()
        for part in in_turns(parts_of(records)):
            join_logs(request, encode_logs(part))
        return request

    def taken(self) -> None:
        """Nothing is kept of them."""

    def farewell(self, _: Sequence[Any]) -> None:
        """Nothing stands for a process that has ended."""

    def rejected(self, response: Any) -> int:
        """How many log records the receiver left out."""
        return int(response.partial_success.rejected_log_records)

    def describe(self, record: ReadableLogRecord) -> str:
        """Its logger; the body may be what a student wrote."""
        return f"of logger {record.instrumentation_scope.name[:100] if record.instrumentation_scope else ''!r}"
