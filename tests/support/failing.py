"""Parts of telemetry that fail, put in by the means that `configure()` uses."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from otel_tutor.pipeline import cached_recording
from otel_tutor.recording.instruments import set_recorder_factory
from otel_tutor.testing import Capture


@contextmanager
def failing_histograms(*names: str) -> Iterator[None]:
    """Every measurement of these histograms fails; of all where none is named."""

    def make_recorder(histogram: Any) -> Any:
        def fail(*_: object) -> None:
            raise RuntimeError("telemetry is broken")

        return cached_recording(histogram) if names and histogram.name not in names else fail

    set_recorder_factory(make_recorder)
    try:
        yield
    finally:
        set_recorder_factory(cached_recording)


@contextmanager
def failing_spans(captured: Capture) -> Iterator[None]:
    """No span can begin: the generator of ids that the capture was given fails."""

    def fail() -> int:
        raise RuntimeError("telemetry is broken")

    ids: Any = captured._ids
    ids.generate_span_id = fail
    try:
        yield
    finally:
        del ids.generate_span_id


class Unprintable:
    """A value that has no text."""

    def __str__(self) -> str:
        raise ValueError("no text")
