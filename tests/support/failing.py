"""Parts of telemetry that fail, put in by the means that `configure()` uses."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from otel_tutor.pipeline import cached_recording
from otel_tutor.recording.instruments import set_recorder_factory


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


class Unprintable:
    """A value that has no text."""

    def __str__(self) -> str:
        raise ValueError("no text")
