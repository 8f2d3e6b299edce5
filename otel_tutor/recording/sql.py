"""The operation of a SQL statement, which is its first keyword; the tokens are those of sqlparse."""

import functools
import re
from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

__all__ = ["keyword"]

_WORD: Final = re.compile(r"\s*([A-Za-z_]+)\b")
_WITH: Final = "WITH"
_USUAL: Final = 4096  # characters: 2 MB of the longest
_LONGEST: Final = 16_384  # characters that are read, and tokens: where no keyword came until then, none is looked for


def keyword(statement: object) -> str:
    """The keyword that says what a statement does, as it is written there: "" where there is none.

    Comments and parentheses before it are passed over, and so are the common table expressions of a WITH.
    """
    if not isinstance(statement, str):
        return ""
    return _keyword(statement) if len(statement) <= _USUAL else _found(statement)


def _found(statement: str) -> str:
    plain = _WORD.match(statement)
    if plain is not None and plain[1].upper() != _WITH:
        return plain[1]
    return _parsed(statement[:_LONGEST])


# An app has that many statements, of which SQLAlchemy keeps the text as well; those with values in them come and go.
_keyword: Final = functools.lru_cache(maxsize=512)(_found)


@functools.lru_cache(maxsize=512)
def _parsed(statement: str) -> str:
    from sqlparse import tokens  # when it is needed: most apps have no such statement
    from sqlparse.lexer import tokenize

    first, depth = "", 0
    found: Iterable[tuple[Any, str]] = tokenize(statement)  # type: ignore[no-untyped-call]  # sqlparse has no types
    for kind, text in islice(found, _LONGEST):
        if kind in tokens.Punctuation:
            depth += {"(": 1, ")": -1}.get(text, 0)
        elif first and depth == 0 and kind in tokens.Keyword.DML:
            return text
        elif not first and _WORD.fullmatch(text) and kind not in tokens.Comment:
            if kind not in tokens.Keyword.CTE:
                return text
            first, depth = text, 0
    return first
