"""Telemetry kept in memory, for tests: what an app's own tests and ours assert on.

With the package installed, pytest has the fixture `captured`:

    def test_a_greeting_counts_once(captured):
        TestClient(app).get("/hello/ada")
        assert captured.value("http_requests_total", method="GET", endpoint="/hello/{name}", status="200") == 1

Series and labels have the names that `collector/naming.yaml` gives them, as on a dashboard.
"""

import asyncio
import difflib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter
from opentelemetry.sdk.metrics import Counter, Histogram, ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator

from otel_tutor import lifecycle
from otel_tutor.health import health_service
from otel_tutor.naming import Series, all_series
from otel_tutor.pipeline import Exporters
from otel_tutor.pipeline.upstream import frozen_span_times, histogram_aggregation
from otel_tutor.recording import clock
from otel_tutor.recording.state import state
from otel_tutor.recording.values import UNKNOWN, to_text
from otel_tutor.settings import Settings

__all__ = ["Capture", "FrozenClock", "Point", "capture"]


class _CountingIds(IdGenerator):
    """Trace and span ids 1, 2, 3, ...: the same in every run."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self._trace = self._span = 0

    def generate_trace_id(self) -> int:
        self._trace += 1
        return self._trace

    def generate_span_id(self) -> int:
        self._span += 1
        return self._span


class FrozenClock:
    """Time that stands still until `advance` is called, for durations and for the times of spans."""

    def __init__(self) -> None:
        self.seconds = 1_700_000_000.0

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self.seconds += seconds


@dataclass(frozen=True, slots=True)
class Point:
    """One series of one instrument: its value, or count and sum of what a histogram saw, since the last `clear()`."""

    attributes: Mapping[str, Any]
    value: float | None = None
    count: int | None = None
    sum: float | None = None
    exemplar_trace_ids: tuple[int, ...] = ()


@dataclass(slots=True)
class Capture:
    """What this process emitted since the last `clear()`."""

    _spans: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    _logs: InMemoryLogRecordExporter = field(default_factory=InMemoryLogRecordExporter)
    _reader: InMemoryMetricReader = field(
        default_factory=lambda: InMemoryMetricReader(
            preferred_temporality=dict.fromkeys((Counter, Histogram, ObservableCounter), AggregationTemporality.DELTA),
            preferred_aggregation={Histogram: histogram_aggregation()},
        )
    )

    _ids: _CountingIds = field(default_factory=_CountingIds)
    _points: dict[str, list[Point]] = field(default_factory=lambda: defaultdict(list))

    def value(self, series: str, /, **labels: object) -> float:
        """A counter's or gauge's value by Prometheus name, all series with these labels added up; 0 where there is none.

        A label may be given as it was recorded: text, a number, a member of an enum.

        Raises KeyError for a series or label that does not exist, with the names that are near.
        """
        family = _series(series)
        if family.type == "histogram":
            raise KeyError(f"{series} is a histogram: ask for its count() or sum()")
        points = self._matching(family, labels)
        if family.type == "gauge":
            points = list({tuple(sorted(point.attributes.items())): point for point in points}.values())  # the last of each
        return sum(point.value if point.value is not None else point.count or 0 for point in points)

    def count(self, series: str, /, **labels: object) -> int:
        """How many measurements a histogram has, by Prometheus name. Raises KeyError as `value` does."""
        return sum(point.count or 0 for point in self._matching(_series(series), labels))

    def sum(self, series: str, /, **labels: object) -> float:
        """What the measurements of a histogram add up to, by Prometheus name. Raises KeyError as `value` does."""
        return sum(point.sum or 0 for point in self._matching(_series(series), labels))

    def health(self) -> dict[str, Any]:
        """What `/health` would answer in detail now.

        The checks run in an event loop by themselves, in a thread: a test may be running in one, and so is a notebook. For a
        check that uses what belongs to the test's own loop, `await health_service.check_health(detailed=True)`.
        """
        with ThreadPoolExecutor(1, "health") as threads:
            return dict(threads.submit(asyncio.run, health_service.check_health(detailed=True)).result())

    @contextmanager
    def frozen(self) -> Iterator[FrozenClock]:
        """Time standing still inside: durations and the times of spans are exactly what the clock is advanced by."""
        frozen = FrozenClock()
        clock.replace(lambda: frozen.seconds)
        try:
            with frozen_span_times(lambda: int(frozen.seconds * 1e9)):
                yield frozen
        finally:
            clock.replace(None)

    def _matching(self, series: Series, labels: Mapping[str, object]) -> list[Point]:
        if unknown := set(labels) - set(series.labels):
            raise KeyError(f"{series.name} has no label {sorted(unknown)[0]!r}: it has {', '.join(series.labels) or 'none'}")
        for name, points in self.read_metrics().items():
            self._points[name] += points
        keys = dict(zip(series.labels, series.keys, strict=True))
        texts = {label: UNKNOWN if (text := to_text(wanted)) is None else text for label, wanted in labels.items()}
        return [
            point
            for point in self._points[series.instrument]
            if all(_label(point, label, keys[label]) == wanted for label, wanted in texts.items())
        ]

    @property
    def spans(self) -> list[ReadableSpan]:
        """Finished spans, in the order they ended."""
        _flush()
        return list(self._spans.get_finished_spans())

    @property
    def logs(self) -> list[ReadableLogRecord]:
        """Log records, in the order they were written."""
        _flush()
        return list(self._logs.get_finished_logs())

    def read_metrics(self) -> dict[str, list[Point]]:
        """Every series since the last read, by instrument name."""
        data = self._reader.get_metrics_data()
        points: dict[str, list[Point]] = {}
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:  # two libraries may emit one name
                    points.setdefault(metric.name, []).extend(map(_point, metric.data.data_points))
        return points

    def clear(self) -> None:
        """Forget what was emitted so far."""
        _flush()
        self._spans.clear()
        self._logs.clear()
        self._reader.get_metrics_data()
        self._points.clear()
        self._ids.restart()

    def reset(self) -> None:
        """Forget also what this process has seen: values of labels, stated numbers, requests, results of health checks."""
        state.reset(read=self.clear)


def capture() -> Capture:
    """Keep this process's telemetry in memory from now on; call it instead of, or before, `configure()`, once."""
    kept = Capture()
    exporters = Exporters(spans=[kept._spans], logs=[kept._logs], reader=kept._reader, ids=kept._ids)
    lifecycle.start(Settings.read(), exporters)
    return kept


def _series(name: str) -> Series:
    known = {series.name: series for series in all_series()}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3) or sorted(known)[:3]
        raise KeyError(f"there is no series {name!r}: did you mean {' or '.join(near)}?")
    return known[name]


def _label(point: Point, label: str, key: str) -> str:
    return to_text(point.attributes.get(key, "unmatched" if label == "endpoint" else "")) or ""


def _flush() -> None:
    running = lifecycle.providers()
    if running is not None:
        running.tracer.force_flush()
        running.logger.force_flush()


def _point(point: Any) -> Point:
    return Point(
        attributes=dict(point.attributes or {}),
        value=getattr(point, "value", None),
        count=getattr(point, "count", None),
        sum=getattr(point, "sum", None),
        exemplar_trace_ids=tuple(exemplar.trace_id for exemplar in point.exemplars),
    )
