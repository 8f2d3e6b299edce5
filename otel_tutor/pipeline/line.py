"""An ordinary line of log on its way to the exporters, without what the SDK does for records of any kind.

Ordinary is a text with arguments, and plain values beside it. The rest goes the SDK's way: exceptions, events, dictionaries,
what is too long or has no type in OTLP. So do all lines where another processor sees them.
"""

import functools
import logging
from time import time_ns
from typing import Any, Final

from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.instrumentation.logging.handler import std_to_otel  # type: ignore[attr-defined]  # moved after 0.64b0
from opentelemetry.sdk._logs import LoggerProvider, LogRecordLimits, LogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from otel_tutor.pipeline.genai import EVENT_NAME, is_event
from otel_tutor.pipeline.self_metrics import counts_every_span
from otel_tutor.pipeline.values import ValidLogs, is_valid, valid_name, valid_scope

__all__ = ["Lines", "OwnLoggerProvider"]

# Attributes of every record; the last two are there once it is formatted.
_USUAL: Final = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime"})
_EVENT_NAMES: Final = frozenset({EVENT_NAME, "otel.event.name"})
_MOST: Final = 100  # values beside a text
_SEVERITIES: Final = {"WARNING": "WARN", "CRITICAL": "FATAL"}  # the data model's words where they differ from Python's


class OwnLoggerProvider(LoggerProvider):
    """The SDK's provider, which also knows whether someone has added a processor to ours."""

    is_shared = False

    def add_log_record_processor(self, log_record_processor: LogRecordProcessor) -> None:
        """Have a processor get every record from now on."""
        self.is_shared = True
        super().add_log_record_processor(log_record_processor)

    def add_own_processor(self, log_record_processor: LogRecordProcessor) -> None:
        """The same for ours, which need not see every record."""
        super().add_log_record_processor(log_record_processor)


class _Line(LogRecord):
    """What an exporter reads, and what a processor is given; all of it is set by `Lines`."""

    resource: Resource
    instrumentation_scope: InstrumentationScope | None
    limits = event_name = exception = None

    def __init__(self) -> None:
        pass  # the base looks up what is known

    def __copy__(self) -> "_Line":
        return self  # a batch copies what others may still change

    @property
    def log_record(self) -> "_Line":
        """The record that a processor exports."""
        return self


class Lines:
    """Exports ordinary lines."""

    def __init__(self, provider: OwnLoggerProvider, limit: int, processor: ValidLogs) -> None:
        self._provider: Final = provider
        self._limit: Final = limit
        self._pass_on: Final = processor.pass_on
        self._is_light: Final = not counts_every_span()  # it counts every record as well
        self._most: Final = _most_values()
        self._scope_of: Final = functools.lru_cache(maxsize=512)(self._find_scope)

    def write(self, record: logging.LogRecord) -> bool:
        """Export the record; False, without any effect, where it is no ordinary line."""
        if record.exc_info or type(record.msg) is not str or self._provider.is_shared or not self._is_light:
            return False
        extra = {} if _USUAL.issuperset(vars(record)) else self._plain_values(record)
        if extra is None:
            return False
        body = record.getMessage() if record.args else record.msg
        if not is_valid(body, self._limit):
            return False
        line, span = _Line(), trace.get_current_span().get_span_context()
        line.timestamp = int(record.created * 1e9)
        line.observed_timestamp = time_ns()
        line.trace_id, line.span_id, line.trace_flags = span.trace_id, span.span_id, span.trace_flags
        line.severity_number, line.severity_text = _severity(record.levelno, record.levelname)
        line.body, line.attributes = body, extra
        line.resource, line.instrumentation_scope = self._provider.resource, self._scope_of(record.name)
        self._pass_on(line)
        return True

    def _plain_values(self, record: logging.LogRecord) -> dict[str, Any] | None:
        """What the record has beyond the usual; None where the SDK would change, drop or use some of it."""
        limit = self._limit
        extra = {key: value for key, value in vars(record).items() if key not in _USUAL}
        is_plain = all(type(key) is str and is_valid(key, limit) and is_valid(value, limit) for key, value in extra.items())
        if not is_plain or "" in extra or len(extra) > self._most or is_event(extra) or not _EVENT_NAMES.isdisjoint(extra):
            return None
        return extra

    def _find_scope(self, name: str) -> InstrumentationScope | None:
        return valid_scope(InstrumentationScope(name), self._limit)  # as that of a logger, for which the SDK takes locks


def _most_values() -> int:
    """How many values a line may have beside its text, so that the SDK would keep them all."""
    limits: Any = LogRecordLimits()
    most = getattr(limits, "max_log_record_attributes", limits.max_attributes)  # its name from 1.45 on
    return _MOST if most is None else min(most, _MOST)


@functools.lru_cache(maxsize=64)
def _severity(number: int, name: str | None) -> tuple[SeverityNumber, str | None]:
    return std_to_otel(number), None if name is None else valid_name(_SEVERITIES.get(name, name))
