"""Console lines name the trace they were written in."""

import io
import logging

from otel_tutor.logs import TraceFormatter
from otel_tutor.testing import Capture
from otel_tutor.tracing import trace_operation


def lines(formatter: TraceFormatter) -> list[str]:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    logger = logging.Logger("app")
    logger.addHandler(handler)
    with trace_operation("work"):
        logger.warning("inside")
    logger.warning("outside")
    return out.getvalue().splitlines()


def test_a_line_says_its_trace_and_span(captured: Capture) -> None:
    inside, outside = lines(TraceFormatter())

    context = captured.spans[0].context
    assert f"WARNING app [{context.trace_id:032x} {context.span_id:016x}] inside" in inside
    assert "WARNING app [- -] outside" in outside


def test_a_format_of_ones_own_may_name_them(captured: Capture) -> None:
    inside, outside = lines(TraceFormatter("{trace_id} {message}", style="{"))

    assert inside == f"{captured.spans[0].context.trace_id:032x} inside"
    assert outside == "- outside"
