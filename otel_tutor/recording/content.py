"""Whether the texts of questions and answers may be recorded: they are personal data, and stay out unless asked for."""

import os
from typing import Final

__all__ = ["ASKED_FOR", "captures_in_events", "captures_in_spans"]

ASKED_FOR: Final = "otel_tutor.content"  # attribute of a span or event whose texts were asked for; the Collector removes it

_VARIABLE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"  # the opt-in of the GenAI conventions


def captures_in_spans() -> bool:
    """Whether they were asked for as attributes of spans."""
    return os.environ.get(_VARIABLE, "").upper() in {"SPAN_ONLY", "SPAN_AND_EVENT"}


def captures_in_events() -> bool:
    """Whether they were asked for as events, which are log records."""
    return os.environ.get(_VARIABLE, "").upper() in {"EVENT_ONLY", "SPAN_AND_EVENT"}
