"""Whatever a caller passes reads the same as text, as a number and as an attribute, or is none of them; nothing raises."""

import warnings
from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

from otel_tutor.recording.attributes import pairs, to_attributes
from otel_tutor.recording.values import to_count, to_name, to_number, to_text
from otel_tutor.testing import Capture
from otel_tutor.tracing import trace_operation
from tests.support.hostile import HOSTILE, Drawn, Hostile, real


class Subject(Enum):
    PHYSICS = "physics"
    SEVENTH = 7


class Level(StrEnum):
    BASIC = "basic"


class OldLevel(str, Enum):  # noqa: UP042 - its str() is not its value
    BASIC = "basic"


class Grade(IntEnum):
    FIRST = 1


class Lazy:
    """Text that is made when it is asked for, as translations are."""

    def __str__(self) -> str:
        return "physics"


class Pretender:
    """A proxy that says it is text."""

    @property  # type: ignore[misc]  # as proxies do it
    def __class__(self) -> type:
        return str

    def __str__(self) -> str:
        return "physics"


TEXTS = [
    ("physics", "physics"),
    (Subject.PHYSICS, "physics"),
    (Subject.SEVENTH, "7"),
    (Level.BASIC, "basic"),
    (OldLevel.BASIC, "basic"),
    (HTTPStatus.OK, "200"),
    (Lazy(), "physics"),
    (Pretender(), "physics"),
    (b"physics", "physics"),
    (bytearray(b"physics"), "physics"),
    (memoryview(b"physics"), "physics"),
    (b"\xff", "\ufffd"),
    (np.str_("physics"), "physics"),
    ("phys\ud83d", "phys?"),
    (PurePosixPath("/a"), "/a"),
    (True, "true"),
    (np.bool_(False), "false"),
    (Decimal("0.5"), "0.5"),
    (7, "7"),
    (None, None),
    (object(), None),
    (10**5000, None),  # Python refuses to write it
]


@pytest.mark.parametrize(("value", "text"), TEXTS, ids=lambda value: type(value).__name__)
def test_a_value_has_one_text(value: object, text: str | None) -> None:
    assert to_text(value) == text
    assert type(to_text(value)) in {str, type(None)}


NUMBERS = [
    (0.5, 0.5),
    (3, 3.0),
    (True, 1.0),
    (Grade.FIRST, 1.0),
    (Decimal("0.5"), 0.5),
    (Fraction(1, 2), 0.5),
    (timedelta(milliseconds=500), 0.5),
    *((kind(3), 3.0) for kind in (np.int8, np.int32, np.int64, np.uint8, np.uint64)),
    *((kind(0.5), 0.5) for kind in (np.float16, np.float32, np.float64, np.longdouble)),
    (np.bool_(True), 1.0),
    (np.array(0.5), 0.5),
]
NO_NUMBERS = [
    None,
    "0.3",
    b"3",
    np.str_("0.3"),
    -0.1,
    float("nan"),
    float("inf"),
    np.float32("nan"),
    Decimal("sNaN"),
    Decimal("-1"),
    timedelta(seconds=-1),
    Fraction(10**400),
    10**400,
    1j,
    np.complex64(1),
    np.timedelta64(3, "s"),
    np.datetime64("2025"),
    np.array([0.5]),
    [1],
    object(),
]


@pytest.mark.parametrize(("value", "number"), NUMBERS, ids=lambda value: type(value).__name__)
def test_any_real_number_is_a_number(value: object, number: float) -> None:
    assert to_number(value) == number
    assert type(to_number(value)) is float


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: type(value).__name__)
def test_what_is_no_real_number_from_zero_on_is_none(value: object) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what numpy warns of must not reach an app's log either
        assert to_number(value) is None


def test_a_whole_number_counts_as_an_integer() -> None:
    assert [to_count(value) for value in (np.int64(3), 2.0, 2.5, None)] == [3, 2, 2.5, None]
    assert type(to_count(np.float32(2))) is int


def test_a_name_is_never_empty_nor_long() -> None:
    assert [to_name(value) for value in (None, "", Hostile(), 7, "x" * 1000)] == ["unknown"] * 3 + ["7", "x" * 255]


ATTRIBUTES = [
    (1, 1),
    (1.5, 1.5),
    (True, True),
    (np.int64(3), 3),
    (np.float32(0.5), 0.5),
    (np.bool_(True), True),
    (np.array(3), 3),
    (Decimal("0.5"), 0.5),
    (Subject.PHYSICS, "physics"),
    (Grade.FIRST, 1),
    (2**63, str(2**63)),
    (b"physics", "physics"),
    ([1, "a", None], [1, "a"]),
    ((Subject.PHYSICS, Hostile()), ["physics"]),
    ({"a": {"b": np.int64(1)}}, {"a": {"b": 1}}),
    (range(2), "range(0, 2)"),
]


@pytest.mark.parametrize(("value", "attribute"), ATTRIBUTES, ids=lambda value: type(value).__name__)
def test_a_value_is_an_attribute_as_it_is_where_it_can_be(value: object, attribute: object) -> None:
    assert to_attributes({"key": value}) == {"key": attribute}


def test_what_cannot_be_an_attribute_is_left_out() -> None:
    assert to_attributes({"none": None, "hostile": Hostile(), "object": object(), "kept": 1}) == {"kept": 1}


def test_attributes_come_as_a_mapping_or_as_pairs() -> None:
    class Partly(Mapping[str, int]):
        def __getitem__(self, key: str) -> int:
            return 1

        def __len__(self) -> int:
            return 2

        def __iter__(self) -> Iterator[str]:
            yield "first"
            raise RuntimeError("no more")

    assert to_attributes([("a", 1), (2, 3)]) == {"a": 1, "2": 3}
    assert to_attributes(Partly()) == {"first": 1}
    assert [to_attributes(wrong) for wrong in (None, 5, "text", [1], HOSTILE["class"])] == [{}] * 5


def test_endless_attributes_end(captured: Capture) -> None:
    def endless() -> Iterator[tuple[str, int]]:
        number = 0
        while True:
            number += 1
            yield str(number), number

    itself: list[Any] = []
    itself.append(itself)

    assert len(list(pairs(endless()))) == 128
    with trace_operation("work", {"itself": itself, "wide": list(range(10_000))}):
        pass
    assert encode_spans(captured.spans).ByteSize() < 10_000


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.complex_numbers(),
        st.decimals(),
        st.fractions(),
        st.text(),
        st.text(st.characters(categories=["Cs"])),
        st.binary(),
        st.timedeltas(),
        st.sampled_from([Subject.PHYSICS, np.int64(3), np.float32("nan")]),
        st.sampled_from(sorted(HOSTILE)).map(Drawn),
    ),
    lambda children: st.lists(children) | st.tuples(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


@given(value=ANYTHING)
@settings(max_examples=300, deadline=None)
def test_nothing_raises(value: Any) -> None:
    value = real(value)
    text, number = to_text(value), to_number(value)

    assert text is None or text.encode() is not None
    assert number is None or 0 <= number < float("inf")
    to_attributes({"key": value})
    to_attributes(value)
