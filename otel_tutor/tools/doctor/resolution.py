"""Whether a measurement comes back from Prometheus in the bucket it belongs to.

The canary records 0 and sends it, then what is in MEASURED. Two faults show: an SDK that loses its resolution over an
interval of zeros puts 0.11 below a bound of 0.1, and a list of naming.yaml without its leading 0.0 loses its first bucket.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Final

from otel_tutor.catalogue import Instrument, Kind
from otel_tutor.errors import ConfigurationError
from otel_tutor.tools.naming import read_naming
from otel_tutor.tools.stack.backends import Backends

__all__ = ["HISTOGRAM", "MEASURED", "misplaced_buckets"]

HISTOGRAM: Final = Instrument("otel_tutor.doctor.duration", Kind.HISTOGRAM, "s", (), "What otel-tutor doctor looks for.")
MEASURED: Final = (0.0005, 0.11, 0.11)
_WIDTH: Final = 0.05  # of an exponential bucket: a value so near to a bound may be counted on either side
_INFINITY: Final = float("inf")


def misplaced_buckets(backends: Backends, selector: str, configuration: Path) -> str:
    """Which buckets a run's measurements are in, and which they should be in, in words; empty where that is the same.

    `selector` is of the run's series. The list in naming.yaml, with all that a user has edited, says what should be.
    """
    samples = backends.query(f"otel_tutor_doctor_duration_seconds_bucket{selector}")
    counts = _apart({float(sample.labels["le"]): sample.value for sample in samples})
    bounds = _bounds(counts, configuration)
    if not counts or any(abs(bound - value) < _WIDTH * value for bound in bounds for value in MEASURED):
        return ""  # nothing to compare
    expected = Counter(_bucket(bounds, value) for value in (0.0, *MEASURED))
    missed = [bound for bound in expected if counts.get(bound, 0) < expected[bound]]
    instead = [bound for bound in counts if counts[bound] > expected[bound]]
    return f"in {_words(instead)}, not in {_words(missed)}" if missed else ""


def _bounds(counts: Mapping[float, float], configuration: Path) -> set[float]:
    """The bounds that the measurements should be counted under."""
    bounds = {bound for bound in _listed(configuration) if bound} or set(counts)
    # A Collector from 0.165 on shows the list's first bound, 0.0, as a bucket.
    return bounds | ({0.0} & counts.keys())


def _listed(configuration: Path) -> tuple[float, ...]:
    """The list that naming.yaml has for a histogram without an entry; empty where that is not known."""
    try:
        (family, *_) = read_naming(configuration, [HISTOGRAM])
    except ConfigurationError:
        return ()
    return () if family.uninterpreted else family.listed


def _apart(cumulative: Mapping[float, float]) -> Mapping[float, float]:
    """The counts of each bucket alone."""
    inner = [(float("-inf"), 0.0), *sorted(cumulative.items())]
    return {bound: count - before for (_, before), (bound, count) in pairwise(inner)}


def _bucket(bounds: Iterable[float], value: float) -> float:
    return min((bound for bound in bounds if bound >= value), default=_INFINITY)


def _words(bounds: Iterable[float]) -> str:
    return " and ".join("le=+Inf" if bound == _INFINITY else f"le={bound:g}" for bound in bounds) or "any"
