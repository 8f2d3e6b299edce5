"""What callers pass as the attributes of a span or an event, made fit to be sent."""

import numbers
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import Enum
from itertools import islice
from typing import Any, Final

from opentelemetry.util.types import AnyValue

from otel_tutor.errors import is_failure
from otel_tutor.recording.guard import log_internal_error
from otel_tutor.recording.values import REAL, numpy_kind, to_name, to_text, valid_utf8

__all__ = ["Attributes", "pairs", "to_attribute", "to_attributes"]

Attributes = Mapping[str, AnyValue]

_MOST: Final = 128  # attributes, and items of one of them: as many as the SDK keeps attributes of a span
_DEEPEST: Final = 4  # lists in lists; what is deeper, perhaps without an end, is text
_INT64: Final = 2**63  # one integer that OTLP's 64 bits cannot hold fails the export of a whole batch
_LISTS: Final = (list, tuple, set, frozenset)


def to_attributes(attributes: object) -> dict[str, AnyValue]:
    """Attributes from a mapping or from pairs. What cannot be read is left out; that is logged."""
    if type(attributes) is dict and not attributes:
        return {}
    return {to_name(key): made for key, value in pairs(attributes) if (made := to_attribute(value)) is not None}


def pairs(mapping: Any) -> Iterable[tuple[object, object]]:
    """Up to 128 pairs of a mapping, or of an iterable of pairs, or of None; those before the first that cannot be read."""
    read: list[tuple[object, object]] = []
    try:
        if mapping is not None:
            items = mapping.items() if hasattr(mapping, "items") else mapping
            read.extend((key, value) for key, value in islice(items, _MOST))
    except BaseException as error:
        log_internal_error(error)
    return read


def to_attribute(value: object, deeper: int = _DEEPEST) -> AnyValue:
    """`value` as a value of an attribute: as it is where OTLP has a place for it, else as text; None where it has none."""
    kind = type(value)
    if kind is str:
        return valid_utf8(value)  # type: ignore[arg-type]  # it is one
    if value is None or kind is bool or kind is float:
        return value  # type: ignore[return-value]  # one of these
    try:
        return _attribute(value, deeper)
    except BaseException as error:
        if not is_failure(error):
            raise
        return to_text(value)


def _attribute(value: Any, deeper: int) -> AnyValue:
    kind = type(value)
    if kind is int and -_INT64 <= value < _INT64:
        return value  # type: ignore[no-any-return]  # an integer
    if issubclass(kind, Enum):
        return to_attribute(value.value, deeper)
    if issubclass(kind, _LISTS) and deeper:
        items = (to_attribute(item, deeper - 1) for item in islice(value, _MOST))
        return [item for item in items if item is not None]
    if issubclass(kind, Mapping) and deeper:
        return {to_name(key): to_attribute(item, deeper - 1) for key, item in pairs(value)}
    number = _number(value) if numpy_kind(value) in REAL else None
    return to_text(value) if number is None else number


def _number(value: Any) -> bool | int | float | None:
    """A number of any library as Python's own; None for what is none, or is beyond the integers that OTLP can hold."""
    kind = type(value)
    if kind is bool or numpy_kind(value) == "b":
        return bool(value)
    if issubclass(kind, numbers.Integral):
        number = int(value)
        return number if -_INT64 <= number < _INT64 else None
    if issubclass(kind, (numbers.Real, Decimal)):
        return float(value)
    # An array that is one number, of numpy or of a library like it.
    return _number(value.item()) if getattr(value, "ndim", None) == 0 else None
