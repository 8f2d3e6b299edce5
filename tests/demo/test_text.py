"""What the tutor makes of a text."""

import pytest

from otel_tutor.demo.text import count_tokens, sentences, terms, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Café, x² and H₂O!", ["cafe", "x2", "and", "h2o"]),
        ("", []),
        ('" OR NEAR(*', ["or", "near"]),
    ],
)
def test_words_are_plain_letters_and_digits(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_forms_of_one_word_are_one_term() -> None:
    assert len({terms(word)[0] for word in ("force", "forces", "forced", "forcing")}) == 1


def test_sentences_end_at_marks_but_not_inside_numbers() -> None:
    assert sentences("It is 7.5 m/s. Is it? Yes.") == ["It is 7.5 m/s.", "Is it?", "Yes."]


def test_tokens_are_words_and_marks() -> None:
    assert count_tokens("It is 5, not 6!") == 7
