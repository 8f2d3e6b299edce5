"""The OpenTelemetry Transformation Language (OTTL) as a tree: what a statement or a condition says."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

__all__ = [
    "OPAQUE",
    "And",
    "Call",
    "Comparison",
    "Condition",
    "Not",
    "NotUnderstoodError",
    "Or",
    "Path",
    "Statement",
    "StatementFailsError",
    "Value",
    "paths",
]


class NotUnderstoodError(ValueError):
    """Why a statement or a condition has no meaning here. The Collector may well accept it."""


class StatementFailsError(ValueError):
    """Why the Collector reports an error for a statement, at each metric that it is applied to."""


class Opaque(Enum):
    """A value or condition that is valid and has no meaning here."""

    OPAQUE = "opaque"


OPAQUE: Final = Opaque.OPAQUE


@dataclass(frozen=True, slots=True)
class Path:
    """A field of the telemetry, such as `metric.name`, or `datapoint.attributes` with the key `http.route`."""

    name: str
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments: an editor, as `set(...)`, or a converter, as `IsMatch(...)`."""

    function: str
    arguments: tuple["Value", ...]
    named: tuple[tuple[str, "Value"], ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two values and one of `==`, `!=`, `<`, `<=`, `>`, `>=`."""

    left: "Value"
    operator: str
    right: "Value"


@dataclass(frozen=True, slots=True)
class Not:
    """The negation of a condition."""

    operand: "Condition"


@dataclass(frozen=True, slots=True)
class And:
    """Conditions that all have to hold."""

    operands: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Conditions of which one has to hold."""

    operands: tuple["Condition", ...]


Value = Path | Call | Opaque | tuple["Value", ...] | str | int | float | bool | bytes | None
Condition = Comparison | Not | And | Or | Call | Opaque | bool


@dataclass(frozen=True, slots=True)
class Statement:
    """An editor, None where it is not understood, and the condition behind `where`, True where there is none."""

    editor: Call | None
    where: Condition = True


def paths(part: Value | Condition | Statement) -> frozenset[str]:
    """The names of all fields in a part of the tree."""
    match part:
        case Path():
            return frozenset({part.name})
        case Call():
            inner: tuple[Value | Condition, ...] = (*part.arguments, *(value for _, value in part.named))
        case Comparison():
            inner = (part.left, part.right)
        case Not():
            inner = (part.operand,)
        case And() | Or():
            inner = part.operands
        case Statement():
            inner = (part.editor, part.where)
        case tuple():
            inner = part
        case _:
            inner = ()
    return frozenset().union(*map(paths, inner))
