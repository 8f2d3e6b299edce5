"""OTTL from text to a tree, by the grammar of the transform processor.

What this package gives no meaning to (arithmetic, maps, lambdas) becomes `OPAQUE`. Then the statement or condition around it
has no meaning here; the rest of the file keeps its own.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

from otel_tutor.tools.naming.tree import (
    OPAQUE,
    And,
    Call,
    Comparison,
    Condition,
    Not,
    NotUnderstoodError,
    Opaque,
    Or,
    Path,
    Statement,
    Value,
)

__all__ = ["parse_condition", "parse_statement"]

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<string>"(?:\\.|[^\\"])*")|(?P<bytes>0x[0-9a-fA-F]+)
    |(?P<number>(?:\d+\.\d*|\.\d+)(?:[eE][-+]?\d+)?|\d+)|(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign>=>|==|!=|>=|<=|[<>=(){}\[\],.:+\-*/]))""",
    re.VERBOSE,
)
# `$$` is `$` to the Collector; a single `$` before a brace names a variable of its environment.
_DOLLAR: Final = "\0"
_CLOSING: Final = {"(": ")", "[": "]", "{": "}"}
_COMPARISONS: Final = frozenset({"==", "!=", "<", "<=", ">", ">="})
_WORDS: Final[Mapping[str, Value]] = {
    "true": True,
    "false": False,
    "nil": None,
    **{
        f"METRIC_DATA_TYPE_{name}": number
        for number, name in enumerate(("NONE", "GAUGE", "SUM", "HISTOGRAM", "EXPONENTIAL_HISTOGRAM", "SUMMARY"))
    },
    **{f"AGGREGATION_TEMPORALITY_{name}": number for number, name in enumerate(("UNSPECIFIED", "DELTA", "CUMULATIVE"))},
}
_CONTEXTS: Final = frozenset({"resource", "scope", "instrumentation_scope", "metric", "datapoint", "exemplar", "otelcol"})


def parse_statement(text: str, context: str = "") -> Statement:
    """A statement, with paths completed by the context that its group names. A part that is not understood stays opaque."""
    try:
        tokens = _tokens(text)
    except NotUnderstoodError:
        return Statement(None, OPAQUE)
    end = next((place for place, token in enumerate(tokens) if token == "where"), len(tokens))
    where = _condition(tokens[end + 1 :], context) if end < len(tokens) else True
    try:
        parser = _Parser(tokens[:end], context)
        editor = parser.value()
        parser.end()
    except NotUnderstoodError:
        editor = None
    return Statement(editor if isinstance(editor, Call) else None, where)


def parse_condition(text: str, context: str = "") -> Condition:
    """A condition, with paths completed by the context that its group names; OPAQUE if it is not understood."""
    try:
        return _condition(_tokens(text), context)
    except NotUnderstoodError:
        return OPAQUE


def _condition(tokens: list[str], context: str) -> Condition:
    parser = _Parser(tokens, context)
    try:
        condition = parser.condition()
        parser.end()
    except NotUnderstoodError:
        return OPAQUE
    return condition


def _tokens(text: str) -> list[str]:
    text, place, tokens = text.replace("$$", _DOLLAR).strip(), 0, list[str]()
    while place < len(text):
        if not (match := _TOKEN.match(text, place)):
            raise NotUnderstoodError(f"{text[place:]!r} is not understood")
        tokens.append(match[0].strip())
        place = match.end()
    return tokens


class _Parser:
    """Recursive descent over the tokens of one statement or condition."""

    def __init__(self, tokens: list[str], context: str) -> None:
        self._tokens = tokens
        self._context = context
        self._place = 0

    def end(self) -> None:
        """Raise NotUnderstoodError unless everything has been read."""
        if token := self._next():
            raise NotUnderstoodError(f"{token!r} is not understood")

    def condition(self) -> Condition:
        """Conditions joined by `or`, the weakest operator."""
        operands = [self._both()]
        while self._skip("or"):
            operands.append(self._both())
        return operands[0] if len(operands) == 1 else Or(tuple(operands))

    def _both(self) -> Condition:
        operands = [self._single()]
        while self._skip("and"):
            operands.append(self._single())
        return operands[0] if len(operands) == 1 else And(tuple(operands))

    def _single(self) -> Condition:
        if self._skip("not"):
            return Not(self._single())
        if self._next() == "(" and (inner := self._grouped()) is not None:
            return inner
        left = self.value()
        if self._next() in _COMPARISONS:
            return Comparison(left, self._take(), self.value())
        if isinstance(left, Call | bool | Opaque):
            return left
        raise NotUnderstoodError(f"{left!r} is no condition")

    def _grouped(self) -> Condition | None:
        """A condition in parentheses; None, with nothing read, where they are those of arithmetic."""
        before = self._place
        try:
            self._expect("(")
            inner = self.condition()
            self._expect(")")
        except NotUnderstoodError:
            self._place = before
            return None
        if self._next() in {*_COMPARISONS, "+", "-", "*", "/"}:
            self._place = before
            return None
        return inner

    def value(self) -> Value:
        """A literal, a list, a path or a call; OPAQUE for what has no meaning here."""
        result = self._operand()
        while self._next() in {"+", "-", "*", "/"}:
            self._take()
            self._operand()
            result = OPAQUE
        return result

    def _operand(self) -> Value:
        token = self._take()
        if token == "[":
            return tuple(value for _, value in self._until("]"))
        if token in {"(", "{"}:
            return self._opaque()
        if token in {"-", "+"}:
            number = self._operand()
            if isinstance(number, bool) or not isinstance(number, int | float):
                return OPAQUE
            return -number if token == "-" else number
        return _literal(token) if re.match(r'["\d.]', token) else self._named(token)

    def _named(self, token: str) -> Value:
        if not re.match("[A-Za-z_]", token):
            raise NotUnderstoodError(f"{token!r} is not understood")
        if self._skip("("):
            arguments = list(self._until(")"))
            call = Call(
                token,
                tuple(value for name, value in arguments if not name),
                tuple((name, value) for name, value in arguments if name),
            )
            return OPAQUE if self._keys() else call  # what is inside its result has no meaning here
        if token in _WORDS:
            return _WORDS[token]
        return OPAQUE if token[0].isupper() else self._path(token)

    def _path(self, first: str) -> Value:
        segments, keys = [first], self._keys()
        while not keys and self._skip("."):
            segments.append(self._take())
            keys = self._keys()
        if segments[0] not in _CONTEXTS and self._context:
            segments.insert(0, self._context)
        if OPAQUE in keys or self._next() == ".":
            while self._skip("."):
                self._take()
                self._keys()
            return OPAQUE
        return Path(".".join(segments), tuple(str(key) for key in keys))

    def _keys(self) -> list[str | Opaque]:
        keys: list[str | Opaque] = []
        while self._skip("["):
            key = self.value()
            self._expect("]")
            keys.append(key if isinstance(key, str) else OPAQUE)
        return keys

    def _until(self, closing: str) -> Iterator[tuple[str, Value]]:
        """The name, if it has one, and the value of each element of a list or a call."""
        while not self._skip(closing):
            name = ""
            if self._next(1) == "=":
                name = self._take()
                self._expect("=")
            yield name, self.value()
            if self._next() != closing:
                self._expect(",")

    def _opaque(self) -> Opaque:
        """Skip what is in brackets, and the body of a lambda behind them."""
        depth = 1
        while depth:
            token = self._take()
            depth += (token in _CLOSING) - (token in _CLOSING.values())
        if self._skip("=>"):
            self.condition()
        return OPAQUE

    def _next(self, ahead: int = 0) -> str:
        place = self._place + ahead
        return self._tokens[place] if place < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._next()
        if not token:
            raise NotUnderstoodError("it ends too early")
        self._place += 1
        return token

    def _skip(self, token: str) -> bool:
        is_next = self._next() == token
        self._place += is_next
        return is_next

    def _expect(self, token: str) -> None:
        if self._take() != token:
            raise NotUnderstoodError(f"{token!r} is missing")


def _literal(token: str) -> Value:
    if token.startswith("0x"):
        return bytes.fromhex(token[2:])
    if not token.startswith('"'):
        return float(token) if "." in token else int(token)
    if "${" in token:
        return OPAQUE
    try:
        text: str = json.loads(token.replace(_DOLLAR, "$"), strict=False)
    except ValueError:
        raise NotUnderstoodError(f"{token} is not understood") from None
    return text
