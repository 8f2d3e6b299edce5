"""Every private part of OpenTelemetry that this package touches, as a list of work-arounds; other code uses public names.

Each work-around is tried once, at `configure()`, on scratch objects. Where the installed release does not behave as
expected, the public way takes its place: nothing is missing from what is recorded, and one line of log says so. Private
names are looked up inside functions, so that these modules can be imported with any release. This folder is what to read
before OpenTelemetry is upgraded. (`_logs`, `_log_exporter` and `_log_encoder` are not private: OpenTelemetry publishes its
logs under these names.)
"""

from typing import Final

from otel_tutor.pipeline.upstream.engine import ENGINE_SPANS, trace_engine
from otel_tutor.pipeline.upstream.exporter import WHOLE_BATCHES, send_through
from otel_tutor.pipeline.upstream.fork import (
    FORKED_CONNECTION,
    FORKED_COUNTS,
    FORKED_NAME,
    forget_counts,
    reconnect,
    update_resource,
)
from otel_tutor.pipeline.upstream.histogram import STEADY_HISTOGRAM, histogram_aggregation
from otel_tutor.pipeline.upstream.locks import REENTRANT_LOCKS, interruptible_attributes, interruptible_batches
from otel_tutor.pipeline.upstream.recording import CACHED_RECORDING, cached_recording
from otel_tutor.pipeline.upstream.spantime import FROZEN_SPANS, frozen_span_times
from otel_tutor.pipeline.upstream.workaround import WorkAround, is_usable

__all__ = [
    "CACHED_RECORDING",
    "ENGINE_SPANS",
    "FORKED_CONNECTION",
    "FORKED_COUNTS",
    "FORKED_NAME",
    "FROZEN_SPANS",
    "REENTRANT_LOCKS",
    "STEADY_HISTOGRAM",
    "WHOLE_BATCHES",
    "WORK_AROUNDS",
    "WorkAround",
    "cached_recording",
    "forget_counts",
    "frozen_span_times",
    "histogram_aggregation",
    "interruptible_attributes",
    "interruptible_batches",
    "is_usable",
    "reconnect",
    "send_through",
    "trace_engine",
    "try_all",
    "update_resource",
]


def try_all() -> None:
    """Try every work-around whose library is there; `configure()` calls this before it builds anything."""
    for work_around in WORK_AROUNDS:
        if work_around is not ENGINE_SPANS:  # needs SQLAlchemy, which an app may do without: tried at the first engine
            is_usable(work_around)


WORK_AROUNDS: Final = (
    CACHED_RECORDING,
    STEADY_HISTOGRAM,
    FORKED_COUNTS,
    FORKED_NAME,
    FORKED_CONNECTION,
    WHOLE_BATCHES,
    REENTRANT_LOCKS,
    ENGINE_SPANS,
    FROZEN_SPANS,
)
