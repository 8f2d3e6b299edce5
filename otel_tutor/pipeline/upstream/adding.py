"""Measurements that wait in the SDK's aggregations, and are added up many at once."""

import functools
import random
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext

from otel_tutor.pipeline.turns import give_way

__all__ = ["Adding", "Waiting", "adding_sum", "have_wait"]

Waiting = float | tuple[float, int, Mapping[str, Any], SpanContext]  # a value; its time, attributes and sampled span

_MANY: Final = 500  # measurements of one series that wait at most: few enough to be added up within a request
_EXEMPLARS: Final = 10  # of them; the SDK keeps 20 of a series until the next export


class Adding:
    """Mixed into an aggregation of the SDK: measurements wait there, and are added up many at once.

    That is when they are exported, or when there are many. What records takes no lock: a signal handler may record while
    its own thread holds one.
    """

    __slots__ = ()  # so that the SDK's object can take on the class

    _lock: Any
    _sample_exemplar: Any
    waiting: list[Waiting]  # an empty deque takes ten times the memory, and there is one for each series
    add_all: Callable[[list[Any]], None]  # adds values, exemplars apart; it may sort the list
    zeros_are_exemplars = True

    def wait(self, measurement: Waiting) -> None:
        """Add it up later."""
        waiting = self.waiting
        waiting.append(measurement)
        if len(waiting) >= _MANY and self._lock.acquire(blocking=False):
            self._lock.release()
            self.add_up()

    def add_up(self) -> None:
        """Add up what waits; what is exported comes from there."""
        batch = list(_taken(self.waiting))
        if not batch:
            return
        sampled = [measurement for measurement in batch if type(measurement) is tuple]
        self.add_all([measurement[0] if type(measurement) is tuple else measurement for measurement in batch])
        if not self.zeros_are_exemplars:
            sampled = [measurement for measurement in sampled if measurement[0]]
        for value, now, attributes, span in random.sample(sampled, min(len(sampled), _EXEMPLARS)):
            within = trace.set_span_in_context(NonRecordingSpan(span), Context())
            exemplar = SimpleNamespace(value=value, time_unix_nano=now, attributes=attributes, context=within)
            self._sample_exemplar(exemplar, True)


def _taken(waiting: list[Waiting]) -> Iterator[Waiting]:
    """Those that are there now, each taken by one thread only."""
    for _ in range(len(waiting)):
        try:
            yield waiting.pop()
        except IndexError:
            return


def have_wait(aggregation: Any, kind: type) -> None:
    """Make an aggregation of the SDK one that is `Adding`, by a subclass of its class."""
    vars(aggregation).setdefault("waiting", [])
    aggregation.__class__ = kind


@functools.cache
def adding_sum() -> type:
    """The sum of a counter."""
    from opentelemetry.sdk.metrics._internal.aggregation import _SumAggregation

    aggregate: Any = _SumAggregation.aggregate  # asks a measurement for its value only

    class AddingSum(_SumAggregation, Adding):
        def add_all(self, values: list[Any]) -> None:
            aggregate(self, SimpleNamespace(value=sum(values)), False)

        def collect(self, *args: Any) -> Any:
            give_way()  # an export collects thousands of series
            self.add_up()
            return super().collect(*args)

    return AddingSum
