"""Whether a measurement comes back from Prometheus in the bucket it belongs to.

The canary records 0 and sends it, then what is in MEASURED. An SDK that loses its resolution over an interval of zeros has
0.11 below a bound of 0.1; of a list of naming.yaml that lacks its leading 0.0, the first bucket is lost.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Final

import yaml

from otel_tutor.catalogue import Instrument, Kind
from otel_tutor.tools.stack.backends import Backends

__all__ = ["HISTOGRAM", "MEASURED", "lost"]

HISTOGRAM: Final = Instrument("otel_tutor.doctor.duration", Kind.HISTOGRAM, "s", (), "What otel-tutor doctor looks for.")
MEASURED: Final = (0.0005, 0.11, 0.11)
_WIDTH: Final = 0.05  # of an exponential bucket
_ANYTHING_ELSE: Final = "metric.type == METRIC_DATA_TYPE_EXPONENTIAL_HISTOGRAM"


def lost(backends: Backends, selector: str, configuration: Path) -> str:
    """Which buckets a run's measurements are in, and which they should be in, in words; nothing where that is the same.

    `selector` is of the run's series. The list in naming.yaml, whatever a user has made of it, says what should be.
    """
    samples = backends.query(f"otel_tutor_doctor_duration_seconds_bucket{selector}")
    found = _apart({float(one.labels["le"]): one.value for one in samples})
    bounds = {bound for bound in _listed(configuration) if bound} or set(found)
    if not found or any(abs(bound - value) < _WIDTH * value for bound in bounds for value in MEASURED):
        return ""  # nothing to compare, or on either side of a bound and right
    if 0.0 in found:
        bounds.add(0.0)  # a Collector from 0.165 on shows the list's first bound
    due = Counter(_first(bounds, value) for value in (0.0, *MEASURED))
    missed = [bound for bound in due if found.get(bound, 0) < due[bound]]
    instead = [bound for bound in found if found[bound] > due[bound]]
    return f"in {_words(instead)}, not in {_words(missed)}" if missed else ""


def _apart(cumulative: Mapping[float, float]) -> Mapping[float, float]:
    """The counts of each bucket alone."""
    inner = [(float("-inf"), 0.0), *sorted(cumulative.items())]
    return {bound: count - before for (_, before), (bound, count) in pairwise(inner)}


def _first(bounds: Iterable[float], value: float) -> float:
    return min((bound for bound in bounds if bound >= value), default=float("inf"))


def _words(bounds: Iterable[float]) -> str:
    return " and ".join("le=+Inf" if bound == float("inf") else f"le={bound:g}" for bound in bounds) or "any"


def _listed(configuration: Path) -> list[float]:
    """The numbers of the list that naming.yaml has for a histogram without an entry of its own."""
    try:
        text = (configuration / "collector" / "naming.yaml").read_text(encoding="utf-8")
        groups = yaml.safe_load(text)["processors"]["transform/naming"]["metric_statements"]
        (statement,) = [
            one
            for group in groups
            if group.get("conditions") == [_ANYTHING_ELSE]
            for one in group["statements"]
            if one.startswith("convert_exponential_histogram_to_histogram(")
        ]
        return [float(number) for number in statement.partition("[")[2].partition("]")[0].split(",")]
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return []  # not here, or written another way: then what came back is all there is to go by
