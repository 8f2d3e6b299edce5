"""A metric on its way through the Collector, and what the values and conditions of OTTL are for it.

A condition has three values: True, False, and None where the answer differs between data points or is not known here.
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from otel_tutor.catalogue import Kind
from otel_tutor.tools.naming.tree import And, Call, Comparison, Condition, Not, NotUnderstoodError, Opaque, Or, Path, Value

__all__ = [
    "EXPONENTIAL",
    "GAUGE",
    "HISTOGRAM",
    "SUM",
    "UNKNOWN",
    "Metric",
    "Unknown",
    "compiled",
    "evaluate",
    "holds",
    "metric_type",
]

GAUGE, SUM, HISTOGRAM, EXPONENTIAL = 1, 2, 3, 4  # METRIC_DATA_TYPE_*


class Unknown:
    """A value that differs between data points, or that is not known here."""


UNKNOWN: Final = Unknown()


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What decides the family that a metric becomes; `uninterpreted` says why some of it may be different."""

    instrument: str
    name: str
    description: str
    unit: str
    type: int
    monotonic: bool
    attributes: tuple[tuple[str, str], ...]  # each key as it is now, and as the app sent it; "" for one that was added
    bounds: tuple[float, ...] = ()
    counts: int = 0  # how many bucket counts a data point has
    listed: tuple[float, ...] = ()  # the bounds that the conversion was given
    uninterpreted: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """The attributes that its data points may have."""
        return tuple(key for key, _ in self.attributes)


def metric_type(kind: Kind) -> tuple[int, bool]:
    """The type that an instrument has in OTLP, and whether it is monotonic."""
    if kind is Kind.HISTOGRAM:
        return EXPONENTIAL, False
    if kind is Kind.OBSERVABLE_GAUGE:
        return GAUGE, False
    return SUM, kind is not Kind.OBSERVABLE_UP_DOWN_COUNTER


_FIELDS: Final[Mapping[str, Callable[[Metric], object]]] = {
    "metric.name": lambda metric: metric.name,
    "metric.description": lambda metric: metric.description,
    "metric.unit": lambda metric: metric.unit,
    "metric.type": lambda metric: metric.type,
    "metric.is_monotonic": lambda metric: metric.monotonic if metric.type == SUM else UNKNOWN,
}
_LENGTHS: Final[Mapping[str, Callable[[Metric], int]]] = {
    "datapoint.explicit_bounds": lambda metric: len(metric.bounds),
    "datapoint.bucket_counts": lambda metric: metric.counts,
}
_ORDER: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
# What Go's regular expressions and Python's read differently, or only Go reads.
_OTHER_SYNTAX: Final = re.compile(r"\[\[:|\\[pPQECzZ]|\\x\{|\{,|\(\?[a-zA-Z-]*U")


def evaluate(value: Value, metric: Metric) -> object:
    """What a value is for a metric; UNKNOWN where that cannot be said."""
    match value:
        case Opaque():
            return UNKNOWN
        case Path():
            return _field(value, metric)
        case Call():
            return _converted(value, metric)
        case tuple():
            return tuple(evaluate(element, metric) for element in value)
        case _:
            return value


def holds(condition: Condition, metric: Metric) -> bool | None:
    """Whether a condition holds for a metric; None where that cannot be said."""
    match condition:
        case Not():
            inner = holds(condition.operand, metric)
            return None if inner is None else not inner
        case And() | Or():
            decisive = isinstance(condition, Or)  # one True decides an `or`, one False an `and`
            answers = {holds(operand, metric) for operand in condition.operands}
            return decisive if decisive in answers else None if None in answers else not decisive
        case Comparison():
            return _compared(evaluate(condition.left, metric), condition.operator, evaluate(condition.right, metric))
        case _:
            answer = evaluate(condition, metric)
            return answer if isinstance(answer, bool) else None


def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern of Go for Python. Raises NotUnderstoodError for one that Python reads differently."""
    if _OTHER_SYNTAX.search(pattern):
        raise NotUnderstoodError(f"the pattern {pattern!r} is Go's")
    try:
        return re.compile(pattern, re.ASCII)
    except re.error as error:
        raise NotUnderstoodError(f"the pattern {pattern!r} is not understood ({error})") from None


def _field(path: Path, metric: Metric) -> object:
    if path.name in _FIELDS and not path.keys:
        return _FIELDS[path.name](metric)
    if path.name == "datapoint.attributes" and len(path.keys) == 1 and path.keys[0] not in metric.keys:
        return None
    return UNKNOWN


def _converted(call: Call, metric: Metric) -> object:
    if call.function == "IsMatch" and len(call.arguments) == 2 and not call.named:  # noqa: PLR2004 - what it takes
        text, pattern = (evaluate(argument, metric) for argument in call.arguments)
        if text is None:
            return False
        if isinstance(text, str) and isinstance(pattern, str):
            try:
                return bool(compiled(pattern).search(text))
            except NotUnderstoodError:
                return UNKNOWN
    if call.function == "Len" and len(call.arguments) == 1:
        (argument,) = call.arguments
        if isinstance(argument, Path) and argument.name in _LENGTHS and metric.type == HISTOGRAM:
            return _LENGTHS[argument.name](metric)
    return UNKNOWN


def _compared(left: object, sign: str, right: object) -> bool | None:
    """By OTTL's rules: values of different types are unequal, and neither is less."""
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return None
    if isinstance(left, tuple) or isinstance(right, tuple):
        return None
    alike = type(left) is type(right) or {type(left), type(right)} == {int, float}
    if sign in {"==", "!="}:
        return (alike and left == right) is (sign == "==")
    return alike and left is not None and _ORDER[sign](left, right)
