"""Log lines on the console that say which trace they belong to, as the lines sent to the Collector do."""

import logging
from typing import Any, Final

from opentelemetry import trace

__all__ = ["TraceFormatter"]

_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s [%(trace_id)s %(span_id)s] %(message)s"


class TraceFormatter(logging.Formatter):
    """A `logging.Formatter` that also knows `%(trace_id)s` and `%(span_id)s`, in hexadecimal; "-" outside a span.

    Use it on a handler that runs where the line was written: behind a queue the span is no longer known.
    """

    def __init__(self, fmt: str | None = _FORMAT, *args: Any, **kwargs: Any) -> None:
        super().__init__(fmt, *args, **kwargs)

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        context = trace.get_current_span().get_span_context()
        record.trace_id = trace.format_trace_id(context.trace_id) if context.is_valid else "-"
        record.span_id = trace.format_span_id(context.span_id) if context.is_valid else "-"
        return super().format(record)
