"""Practice items and their marking."""

import pytest

from otel_tutor.demo.corpus import read_practice
from otel_tutor.demo.practice import is_correct


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("7.5 m/s", "7.5"),
        ("x = 7", "7"),
        ("1,200 Pa", "1200"),
        ("0.3", "3/10"),
        ("6 / 20", "3/10"),
        ("\N{MINUS SIGN}2", "-2"),
        ("the Amylase!", "amylase"),
        ("Halogen", "halogens"),
    ],
)
def test_the_same_answer_written_differently_is_right(given: str, expected: str) -> None:
    assert is_correct(given, expected)


@pytest.mark.parametrize(
    ("given", "expected"),
    [("7 or 8", "7"), ("75", "7.5"), ("3/0", "3"), ("seven", "7"), ("acid", "lactic acid"), ("", "eye"), ("the", "eye")],
)
def test_another_answer_is_wrong(given: str, expected: str) -> None:
    assert not is_correct(given, expected)


def test_every_item_accepts_its_own_answer_and_not_a_shrug() -> None:
    for item in read_practice():
        assert is_correct(item.answer, item.answer), item
        assert not is_correct("I do not know", item.answer), item
