"""A shorter way from a measurement to its histogram: what does not change from one to the next is worked out once.

opentelemetry-sdk 1.45 copies, checks and hashes the attributes of every measurement: most of what one costs. Ours come
from a bounded set, checked when a label is made, so where they lead is remembered (`make bench` has the ratios). It
touches private parts of the SDK; where they are not as expected, measurements go the long way.
"""

import dataclasses
from collections.abc import Callable, Mapping
from time import time_ns
from typing import Any, Final

from opentelemetry import context
from opentelemetry.context import Context
from opentelemetry.metrics import Histogram
from opentelemetry.sdk.metrics import Histogram as SDKHistogram
from opentelemetry.sdk.metrics._internal.measurement import Measurement
from opentelemetry.sdk.metrics._internal.measurement_consumer import SynchronousMeasurementConsumer

__all__ = ["fast_recorder", "forget_aggregations"]

Recorder = Callable[[float, Mapping[str, Any], Context | None], None]

_EXPECTED: Final = ("value", "time_unix_nano", "instrument", "context", "attributes")
_remembered: Final[list[dict[Any, list[Any]]]] = []


def fast_recorder(histogram: Histogram) -> Recorder:
    """What records in `histogram`; attributes must come from a bounded set of plain values."""
    real: Any = getattr(histogram, "_real_instrument", None) or histogram
    consumer = getattr(real, "_measurement_consumer", None)
    fields = tuple(field.name for field in dataclasses.fields(Measurement))
    if not isinstance(real, SDKHistogram) or not isinstance(consumer, SynchronousMeasurementConsumer) or fields != _EXPECTED:
        return histogram.record
    known: dict[Any, list[Any]] = {}
    _remembered.append(known)
    should_sample = consumer._sdk_config.exemplar_filter.should_sample

    def record(value: float, attributes: Mapping[str, Any], within: Context | None = None) -> None:
        key = tuple(attributes.items())
        aggregations = known.get(key)
        if aggregations is None:
            real.record(value, attributes, within)
            known[key] = _aggregations(consumer, real, attributes)
            return
        within = within or context.get_current()
        now = time_ns()
        measurement = object.__new__(Measurement)  # without the check of attributes that were checked before
        measurement.__dict__.update(value=value, time_unix_nano=now, instrument=real, context=within, attributes=attributes)
        sample = should_sample(value, now, attributes, within)
        for aggregation in aggregations:
            aggregation.aggregate(measurement, sample)

    return record


def _aggregations(consumer: Any, instrument: Any, attributes: Mapping[str, Any]) -> list[Any]:
    """Where the SDK keeps what is recorded with these attributes, for each reader and view."""
    from opentelemetry.sdk.metrics._internal._view_instrument_match import _hash_attributes

    return [
        match._attributes_aggregation[_hash_attributes(dict(attributes))]
        for storage in consumer._reader_storages.values()
        for match in storage._get_or_init_view_instrument_match(instrument)
    ]


def forget_aggregations() -> None:
    """Look for them anew: a forked child starts with none."""
    for known in _remembered:
        known.clear()
