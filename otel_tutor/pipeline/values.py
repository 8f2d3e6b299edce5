"""Values as OTLP can carry them: text that UTF-8 can hold and that has a limit, integers of 64 bits, names that are text.

A value that the encoder refuses would cost its attribute, its record or its whole batch, whichever library recorded it.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any, Final, TypeVar

from opentelemetry._logs import LogRecord
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk._logs import LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from otel_tutor.errors import is_failure
from otel_tutor.pipeline.content import without_content
from otel_tutor.pipeline.genai import EVENT_NAME, is_event
from otel_tutor.recording.content import ASKED_FOR, captures_in_events
from otel_tutor.recording.guard import attempt
from otel_tutor.recording.values import UNKNOWN, valid_utf8
from otel_tutor.settings import DEFAULT_VALUE_LIMIT

__all__ = [
    "ValidLogs",
    "is_valid",
    "made_valid",
    "valid_attributes",
    "valid_name",
    "valid_scope",
    "valid_text",
    "valid_value",
]

Record = TypeVar("Record")

_SMALLEST, _LARGEST = -(2**63), 2**63 - 1  # of OTLP's integers
_DEEPEST: Final = 20  # levels of lists and mappings; deeper is a mistake, and protobuf refuses more than 100
_LONGEST_NAME: Final = DEFAULT_VALUE_LIMIT  # a set limit is for values: names that it cuts would no longer be found


def made_valid(make_valid: Callable[[Record], Record], record: Record) -> Record:
    """A record with valid values. One that cannot be read is left to the encoder: it is refused there, and lost alone."""
    try:
        return make_valid(record)
    except BaseException as error:
        if not is_failure(error):
            raise
        return record


def valid_text(value: object, limit: int) -> str:
    """`value` as text of at most `limit` characters."""
    text = value if type(value) is str else attempt(_text, value) or UNKNOWN
    return valid_utf8(text if len(text) <= limit else text[:limit])


def _text(value: object) -> str:
    """As a plain string: the methods of a subclass may do anything."""
    return str.__str__(value if issubclass(type(value), str) else str(value))


def valid_name(name: object) -> str:
    """A name or an attribute's key as text that can be sent."""
    return valid_text(name, _LONGEST_NAME)


def valid_value(value: Any, limit: int, level: int = 0) -> Any:
    """`value` with its texts limited to so many characters, and what OTLP has no type for as text."""
    if value is None or isinstance(value, (bool, float)) or (isinstance(value, int) and _SMALLEST <= value <= _LARGEST):
        return value
    if isinstance(value, bytes):
        return value[:limit]
    if level < _DEEPEST and isinstance(value, Mapping):
        return {valid_name(key): valid_value(item, limit, level + 1) for key, item in value.items()}
    if level < _DEEPEST and isinstance(value, Sequence) and not isinstance(value, str):
        return [valid_value(item, limit, level + 1) for item in value]
    return valid_text(value, limit)


def valid_attributes(attributes: Mapping[str, Any] | None, limit: int) -> Mapping[str, Any] | None:
    """`attributes` with valid keys and values: itself where they are valid, as they nearly always are."""
    if not attributes or all(is_valid(key, _LONGEST_NAME) and is_valid(value, limit) for key, value in attributes.items()):
        return attributes
    valid = BoundedAttributes(attributes=valid_value(attributes, limit))
    valid.dropped = getattr(attributes, "dropped", 0)
    return valid


def is_valid(value: Any, limit: int) -> bool:
    """Whether `value` needs no change. It is asked of each value that is exported, so the usual ones come first."""
    kind = type(value)
    if kind is str:
        return len(value) <= limit and (value.isascii() or valid_utf8(value) == value)
    if kind is int:
        return bool(_SMALLEST <= value <= _LARGEST)
    return kind is bool or kind is float or (kind is tuple and all(is_valid(item, limit) for item in value))


def valid_scope(scope: InstrumentationScope | None, limit: int) -> InstrumentationScope | None:
    """`scope` with valid names and attributes: itself where they are valid."""
    if scope is None:
        return None
    attributes = valid_attributes(scope.attributes, limit)
    names = (scope.name, scope.version, scope.schema_url)
    name, version, schema_url = (name and valid_name(name) for name in names)
    if attributes is scope.attributes and (name, version, schema_url) == names:
        return scope
    return InstrumentationScope(name or "", version, schema_url, attributes)


class ValidLogs(LogRecordProcessor):
    """Passes on each log record with valid values, as it is written: a long body is not kept until it is exported.

    A body has at most `limit` characters. So has an attribute, which the SDK cuts. Other processors see it as it was.
    """

    def __init__(self, limit: int, processors: Sequence[LogRecordProcessor]) -> None:
        self._limit: Final = limit
        self._processors: Final = processors
        self._captures: Final = captures_in_events()

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Pass on a copy with valid values."""
        valid = attempt(self._valid, log_record)
        if valid is not None:
            self.pass_on(valid)

    def pass_on(self, valid: Any) -> None:
        """Pass on a record whose values are valid."""
        for processor in self._processors:
            processor.on_emit(valid)

    def _valid(self, original: ReadWriteLogRecord) -> ReadWriteLogRecord:
        log_record = replace(original, log_record=copy(original.log_record))
        record = log_record.log_record
        if record.event_name is not None or is_event(record.attributes):
            scope = log_record.instrumentation_scope
            self._describe_event(record, is_ours=scope is not None and scope.name == "otel_tutor")
        record.body = valid_value(record.body, self._limit)
        record.attributes = valid_attributes(record.attributes, self._limit)
        if record.severity_text is not None:
            record.severity_text = valid_name(record.severity_text)
        log_record.instrumentation_scope = valid_scope(log_record.instrumentation_scope, self._limit)
        return log_record

    def _describe_event(self, record: LogRecord, *, is_ours: bool) -> None:
        """Give an event its name where log stores look for it, and take out what people and models wrote."""
        name = record.event_name or str((record.attributes or {}).get(EVENT_NAME))
        record.event_name = name = valid_name(name)
        record.attributes = {**(record.attributes or {}), EVENT_NAME: name}
        if name.startswith("gen_ai.") and not is_ours:
            record.attributes = without_content(record.attributes, captures=self._captures)
            if self._captures:
                record.attributes = {**(record.attributes or {}), ASKED_FOR: True}  # its body may hold them too
            else:
                record.body = None
        if record.body in (None, ""):
            record.body = name

    def shutdown(self) -> None:
        """Send what is left and stop."""
        for processor in self._processors:
            processor.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what is held."""
        return all(processor.force_flush(timeout_millis) for processor in self._processors)
