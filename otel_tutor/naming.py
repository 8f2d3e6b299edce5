"""What Prometheus calls every instrument, and which labels and buckets it has there.

`collector/naming.yaml` decides it. An app has no need of YAML: it reads `series.json` beside this module, the table that
`python -m otel_tutor.tools.reference` makes of that file and the catalogue.
"""

import functools
import json
from dataclasses import dataclass
from importlib import resources
from typing import Any

__all__ = ["Series", "all_series"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A family in Prometheus: name, type, UCUM unit, labels, bucket bounds if it has them, meaning, and where it is from."""

    name: str
    type: str
    unit: str
    labels: tuple[str, ...]
    keys: tuple[str, ...]  # the attribute that each label was; "" for one that the Collector added
    buckets: tuple[float, ...]
    meaning: str
    instrument: str  # its OpenTelemetry name in the catalogue


@functools.cache
def all_series() -> tuple[Series, ...]:
    """Every family of the catalogue's instruments, in its order."""
    text = resources.files("otel_tutor").joinpath("series.json").read_text(encoding="utf-8")
    return tuple(_series(entry) for entry in json.loads(text))


def _series(entry: dict[str, Any]) -> Series:
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}
    return Series(**fields)
