"""Text as the tutor sees it: words, terms (words worth matching), sentences and tokens."""

import itertools
import re
import unicodedata
from collections.abc import Sequence
from typing import Final

__all__ = ["count_tokens", "first_tokens", "sentences", "terms", "words"]

_WORD: Final = re.compile(r"[a-z0-9]+")
_TOKEN: Final = re.compile(r"\w+|[^\w\s]")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"'(])")
_SUFFIXES: Final = ("ations", "ation", "ings", "ing", "ies", "ed", "es", "s", "ly", "e")
_SHORTEST_STEM: Final = 3
_STOP_WORDS: Final = frozenset(
    _WORD.findall(
        """a about actually after all am an and any are as at be because been before being between both but by calculate
        can could did difference do does doing each explain for from get had has have having he her here him his how i if
        in into is it its just like many mes might more most much my need no not of on once one only or other
        our out over please same she should so some such tell than that the their them then there these they this those
        through to too under until up use used very was we were what when where which while who why will with without
        would you your"""
    )
)


def words(text: str) -> list[str]:
    """The words and numbers of a text, lower case, without accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return _WORD.findall("".join(letter for letter in plain if not unicodedata.combining(letter)))


def terms(text: str) -> list[str]:
    """The words that carry meaning, stemmed, so that "forces" and "force" are one term."""
    return [_stem(word) for word in words(text) if word not in _STOP_WORDS]


def sentences(text: str) -> Sequence[str]:
    """The sentences of a text, in order."""
    return [sentence.strip() for sentence in _SENTENCE_END.split(text) if sentence.strip()]


def count_tokens(text: str) -> int:
    """How many words, numbers and marks a text has."""
    return len(_TOKEN.findall(text))


def first_tokens(text: str, count: int) -> str:
    """The beginning of a text that has at most so many tokens."""
    ends = [token.end() for token in itertools.islice(_TOKEN.finditer(text), max(count, 0) + 1)]
    return text if len(ends) <= count else text[: ends[count - 1]] if count > 0 else ""


def _stem(word: str) -> str:
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= _SHORTEST_STEM:
            return word.removesuffix(suffix) + ("y" if suffix == "ies" else "")
    return word
