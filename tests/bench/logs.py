"""A log line with its trace id: printed by logging alone, and exported as well by us and by OpenTelemetry's handler."""

import logging
import os
from collections.abc import Mapping

from opentelemetry import trace

from tests.bench.comparison import added_row, whole_row
from tests.bench.processes import Effort, Variant, measure
from tests.bench.table import Row
from tests.bench.trial import Nothing, Sink, Trial, ours, plain_sdk

__all__ = ["rows"]

EACH = 1000  # lines of a round, inside one span


def rows(effort: Effort) -> list[Row]:
    """The rows of log lines."""
    times = measure([Variant(__name__, name) for name in ("plain", "with_us", "contrib")], effort)
    return [
        added_row("log line, exported: what is added", "contrib logging", times, ("with_us", "contrib", "plain"), 0.7),
        whole_row("log line with all it takes", "contrib logging", times, ("with_us", "contrib"), None),
        whole_row("log line with all it takes", "plain logging", times, ("with_us", "plain"), None),
    ]


def plain() -> Trial:
    return _trial(Nothing(), {})


def with_us() -> Trial:
    return _trial(ours(), {"logs": EACH, "logs in a trace": EACH, "spans": 1})


def contrib() -> Trial:
    from opentelemetry.instrumentation.logging.handler import LoggingHandler

    sink = plain_sdk()
    logging.getLogger().addHandler(LoggingHandler(logging.INFO))
    return _trial(sink, {"logs": EACH, "logs in a trace": EACH, "spans": 1})


def _trial(sink: Sink, expected: Mapping[str, float]) -> Trial:
    printed = logging.StreamHandler(open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - as long as the process
    printed.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.getLogger().addHandler(printed)
    logging.getLogger().setLevel(logging.INFO)
    logger, tracer = logging.getLogger("bench"), trace.get_tracer("bench")

    def run() -> None:
        with tracer.start_as_current_span("request"):
            for number in range(EACH):
                logger.info("answered question %d", number)

    return Trial(run=run, each=EACH, sink=sink, expected=expected)
