"""What callers pass, as the text and the numbers that can be sent. Nothing here raises, whatever it is given.

Types are read by `type()`: `isinstance()` also asks `__class__`, where a proxy lies and a broken object raises.
"""

import math
from datetime import timedelta
from enum import Enum
from typing import Any, Final

from otel_tutor.errors import is_failure

__all__ = ["REAL", "UNKNOWN", "numpy_kind", "to_count", "to_name", "to_number", "to_text", "valid_utf8"]

UNKNOWN: Final = "unknown"
_LONGEST_NAME: Final = 255  # characters, as the SDK allows for the name of an instrument; a longer one is a text
_INT53: Final = 2**53  # up to here each integer is a float as well
_BYTES: Final = (bytes, bytearray, memoryview)
REAL: Final = "biuf"  # kinds of numpy's types that are real numbers: not complex ones, dates, durations in any unit, text


def valid_utf8(text: str) -> str:
    """`text` with lone surrogates replaced: one of them, left by a cut JSON escape, fails the export of a whole batch."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def to_text(value: object) -> str | None:
    """`value` as text: a member of an enum by its value, bytes decoded, anything else by its `str()`.

    None for None, for an object that has nothing but its address to say, and for one whose `str()` fails.
    """
    if type(value) is str and value.isascii():  # most are: each of these calls is on the path of a request
        return value
    try:
        return _text(value)
    except BaseException as error:
        if not is_failure(error):
            raise
        return None


def to_name(value: object) -> str:
    """`value` as the name of a span, an event or an attribute: text of limited length, "unknown" where there is none."""
    if type(value) is str and 0 < len(value) <= _LONGEST_NAME and value.isascii():
        return value
    return (to_text(value) or UNKNOWN)[:_LONGEST_NAME]


def to_number(value: object) -> float | None:
    """`value` as a finite number at or above zero; None for anything else.

    Any real number will do, also a Decimal, a Fraction or one of numpy's; a timedelta is its seconds. Text is no number: a
    call that passes "0.3" passes the wrong thing, and may pass "0,3" or "300 ms" next.
    """
    if type(value) is float and 0 <= value < math.inf:
        return value
    try:
        number = _number(value)
    except BaseException as error:
        if not is_failure(error):
            raise
        return None
    return number if 0 <= number < math.inf else None


def to_count(value: object) -> int | float | None:
    """`value` as `to_number` gives it, an integer where it is whole."""
    if value is None or (type(value) is int and 0 <= value < _INT53):
        return value
    number = to_number(value)
    return int(number) if number is not None and number.is_integer() else number


def _text(value: Any) -> str | None:
    kind: Any = type(value)
    if issubclass(kind, Enum):
        return _text(value.value)
    if issubclass(kind, str):
        return valid_utf8(str.__str__(value))
    if issubclass(kind, _BYTES):
        return bytes(value).decode("utf-8", "replace")
    if value is None or ((kind.__str__, kind.__repr__) == (object.__str__, object.__repr__)):
        return None
    if kind is bool or numpy_kind(value) == "b":
        return "true" if value else "false"
    return valid_utf8(str.__str__(str(value)))


def _number(value: Any) -> float:
    kind = type(value)
    if kind is float or kind is int:
        return float(value)
    if issubclass(kind, timedelta):
        return float(value.total_seconds())
    if issubclass(kind, (str, *_BYTES)) or numpy_kind(value) not in REAL or getattr(value, "ndim", None):
        return math.nan
    return float(value)


def numpy_kind(value: object) -> str:
    """The kind of number that one of numpy's is, without an import of numpy; "f" for all other objects."""
    kind = getattr(getattr(value, "dtype", None), "kind", None)
    return kind if type(kind) is str else "f"
