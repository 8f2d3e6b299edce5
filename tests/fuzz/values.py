"""Values that no call expects: what a caller may pass by mistake, and what is made to break whoever looks at it."""

import logging
import random
import threading
from collections import OrderedDict, UserDict, defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any, Final, NoReturn
from unittest.mock import MagicMock
from uuid import UUID

import numpy as np

from otel_tutor.monitoring import metrics_collector
from otel_tutor.tracing import trace_operation
from tests.support.hostile import HOSTILE

__all__ = ["AppError", "PanicException", "any_error", "any_value"]


class AppError(Exception):
    """Raised by the app, and only by it."""


class UnreadableError(Exception):
    """An exception of which nothing can be asked."""

    def _refuse(self, *_: object) -> NoReturn:
        raise ValueError("refused")

    __str__ = __repr__ = __eq__ = __hash__ = __bool__ = __reduce__ = _refuse

    @property
    def args(self) -> NoReturn:  # type: ignore[override]
        raise ValueError("refused")

    __notes__ = __cause__ = args


class PanicException(BaseException):
    """What an extension in Rust raises when it panics."""


METHODS: Final = (
    *("__str__", "__repr__", "__bool__", "__float__", "__int__", "__index__", "__len__", "__iter__", "__hash__", "__eq__"),
    *("__format__", "__call__", "__enter__", "__getattr__", "__getitem__", "__contains__", "__next__", "__lt__", "__gt__"),
    *("items", "keys", "get", "encode", "decode", "strip", "isascii", "lower", "startswith", "is_integer", "item", "__le__"),
    *("__set_name__", "__del__", "__await__", "__aiter__", "__round__", "__trunc__", "total_seconds", "__ge__", "__add__"),
)
ERRORS: Final[tuple[type[BaseException], ...]] = (
    *(RuntimeError, ValueError, TypeError, KeyError, RecursionError, StopIteration, StopAsyncIteration),
    *(MemoryError, OSError),
    *(AssertionError, NotImplementedError, AttributeError, IndexError, ZeroDivisionError, OverflowError, UnicodeError),
    *(ImportError, EOFError, LookupError, UnreadableError, PanicException),
)
BASES: Final[tuple[type, ...]] = (object, str, int, float, dict, list, tuple, set, bytes, UserDict, Exception)


def raising(chance: random.Random) -> Any:
    """An object of some kind, some methods of which raise."""
    error, base = chance.choice(ERRORS), chance.choice(BASES)
    names = chance.sample(METHODS, chance.choice([1, 1, 2, 5, len(METHODS)]))

    def refuse(*_: object, **__: object) -> NoReturn:
        raise error("refused") if error is not UnreadableError else UnreadableError

    names = [name for name in names if name != "__del__"]  # Python itself reports it
    try:
        return type("Raising", (base,), dict.fromkeys(names, refuse))()
    except BaseException:  # it cannot even be made
        return object()


def answering(chance: random.Random) -> Any:
    """An object whose methods return what they must not, or never the same."""
    odd = chance.choice([None, -1, "text", b"\xff", 10**400, float("nan"), object(), [1], NotImplemented, True, 2**63])
    names = chance.sample(METHODS, chance.choice([1, 2, 5]))
    names = [name for name in names if name not in {"__del__", "__set_name__"}]
    try:
        return type("Answering", (chance.choice(BASES),), {name: lambda *_, **__: odd for name in names})()
    except BaseException:
        return object()


class Bottomless:
    """It has every attribute and every item, without an end."""

    def __getattr__(self, _: str) -> "Bottomless":
        return Bottomless()

    def __getitem__(self, _: object) -> "Bottomless":
        return Bottomless()

    def items(self) -> Any:
        while True:
            yield "key", "value"


class Falling:
    """Whatever is asked of it asks the same again."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self, f"{name}_")

    def __str__(self) -> str:
        return str(self)

    __repr__ = __str__


class Recording:
    """It records while it is recorded."""

    def __str__(self) -> str:
        metrics_collector.track_student_activity("physics", "waves")
        logging.getLogger("fuzz.inside").info("inside")
        with trace_operation("inside"):
            return "recording"


class Changing:
    """Another text, hash and number each time."""

    def __str__(self) -> str:
        return f"{random.random()}"

    __hash__ = lambda _: random.getrandbits(60)  # noqa: E731
    __float__ = lambda _: random.random()  # noqa: E731
    __eq__ = lambda *_: random.random() < 0.5  # noqa: E731


class Endless:
    """It never stops giving pairs."""

    def __iter__(self) -> Any:
        while True:
            yield "key", 1


class OddEnum(Enum):
    """Members whose values are no plain ones."""

    HOSTILE = HOSTILE["items"]
    NONE = None
    LIST = [1, 2]  # noqa: RUF012


def cyclic() -> Any:
    made: list[Any] = []
    made.append({"self": made, "tuple": (made,)})
    return made


def deep(depth: int, kind: str = "list") -> Any:
    made: Any = "bottom"
    for _ in range(depth):
        made = [made] if kind == "list" else {"down": made}
    return made


LONG: Final = "x" * (1 << 20)
LONG_UNICODE: Final = "\U0001f600" * (1 << 18)

# Not kept: each call gets a new one.
MADE: Final[tuple[Callable[[], Any], ...]] = (
    lambda: (number for number in range(3)),
    lambda: iter([("a", 1), ("b",), 7]),
    lambda: {Changing(): Changing()},
    MagicMock,
    lambda: deep(50),
    lambda: deep(50, "dict"),
    lambda: {f"key {number}": number for number in range(1000)},
    lambda: {LONG: LONG},
    lambda: [LONG_UNICODE] * 3,
    lambda: np.arange(1000),
    lambda: bytearray(b"\xff" * 10),
    lambda: memoryview(b"abc"),
    object,
    lambda: defaultdict(list, {"a": [1]}),
    lambda: OrderedDict(a=1),
    lambda: SimpleNamespace(a=1),
    lambda: type("Local", (), {}),
)
FIXED: Final[tuple[Any, ...]] = (
    *(None, True, False, 0, 1, -1, 0.0, -0.0, 0.25, 7, 1e-9, 1e-12, 5e-324, 1e12, 1.7e308, float("nan"), float("inf")),
    *(-float("inf"), 2**53, 2**63 - 1, 2**63, -(2**63) - 1, 10**400, 10**5000, 1 + 2j, Decimal("1.5"), Decimal("sNaN")),
    *(Decimal("Infinity"), Decimal(10) ** 500, Fraction(1, 3), Fraction(10**400, 3), timedelta(1), timedelta.max, date.min),
    *(datetime.now(UTC), UUID(int=1), PurePosixPath("/x"), "", " ", "physics", "error", "success"),
    *("cancelled", "\x00", "\n"),
    *("\ud800", "a\udfffb", "é" * 300, LONG, LONG_UNICODE, b"", b"\xff\xfe", b"text", "%s %d", "{}", "'; DROP", "_OTHER"),
    *((), [], {}, set(), frozenset({1}), [None], [1, "a", None], {"a": 1}, {1: 2}, {None: None}, {"a": {"b": [1, {}]}}),
    *(object, int, len, lambda: None, logging, threading.Lock(), NotImplemented, Ellipsis, slice(1), range(3)),
    *(np.float32(0.5), np.int64(3), np.float64("nan"), np.bool_(True), np.array([1, 2]), np.array(5), np.array("text")),
    *(np.datetime64("now"), np.timedelta64(3, "s"), np.void(b"x"), np.complex64(1)),
    *(np.array([], dtype=object), np.uint64(2**64 - 1)),
    *(np.array([[1.0]]), np.str_("text"), np.bytes_(b"x"), np.longdouble(1), *OddEnum, *HOSTILE.values(), cyclic()),
    *(Bottomless(), Falling(), Recording(), Changing(), Endless(), AppError("an error"), UnreadableError(), deep(10_000)),
    *("otel.event.name", "event.name", "service.name", "gen_ai.system", "exception.type", "le", "__name__"),
    *("message", "name"),
    *("2" * 5000, "😀", "ﷺ", "a" * 255, "a" * 256, "a" * 100, "a" * 101, "key with space", "UPPER", "key.with.dots", "-"),
)


def any_value(chance: random.Random) -> Any:
    """One of them."""
    (make,) = chance.choices([*KINDS], [*KINDS.values()])
    return make(chance)


def _mapping(chance: random.Random) -> Any:
    return {_key(chance): any_value(chance) for _ in range(chance.randrange(4))}


def _list(chance: random.Random) -> Any:
    return [any_value(chance) for _ in range(chance.randrange(4))]


def _text(chance: random.Random) -> Any:
    return "".join(chr(chance.randrange(0x110000)) for _ in range(chance.randrange(8)))


def _number(chance: random.Random) -> Any:
    return chance.choice([chance.random() * 10 ** chance.randrange(-20, 20), chance.getrandbits(chance.randrange(1, 100))])


KINDS: Final[dict[Callable[[random.Random], Any], int]] = {
    lambda chance: chance.choice(FIXED): 55,
    raising: 15,
    answering: 8,
    lambda chance: chance.choice(MADE)(): 6,
    _mapping: 4,
    _list: 4,
    _text: 3,
    _number: 5,
}


def _key(chance: random.Random) -> Any:
    key = any_value(chance)
    try:
        hash(key)
    except BaseException:
        return "unhashable"
    return key


def any_error(chance: random.Random) -> BaseException:
    """What an app raises."""
    kind: Any = chance.choice((*ERRORS, AppError, KeyboardInterrupt, SystemExit, GeneratorExit, BaseExceptionGroup))
    if kind is BaseExceptionGroup:
        return BaseExceptionGroup("several", [AppError("one"), UnreadableError()])
    if kind is UnreadableError:
        return UnreadableError()
    try:
        made: BaseException = kind(any_value(chance))
    except BaseException:
        made = kind("refused")
    return made
