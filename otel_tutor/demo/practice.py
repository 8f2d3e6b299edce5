"""Practice: the items of a subject, and whether an answer to one is right."""

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from sqlalchemy import Engine

from otel_tutor.demo.corpus import PracticeItem
from otel_tutor.demo.outbox import queue
from otel_tutor.demo.store import AnswerRow, writing
from otel_tutor.demo.text import terms
from otel_tutor.monitoring import metrics_collector

__all__ = ["Practice", "is_correct"]

_NUMBER: Final = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:\s*/\s*\d+)?")


class Practice:
    """Gives out practice items and marks answers; an item is known by its place among those of its subject, from 0."""

    def __init__(self, engine: Engine, items: Sequence[PracticeItem]) -> None:
        self._engine = engine
        self._items = items

    def items(self, subject: str) -> Sequence[PracticeItem]:
        """The items of a subject, in order; none for a subject that has none."""
        return [item for item in self._items if item.subject == subject]

    def mark(self, subject: str, item: int, answer: str, session: str | None = None) -> bool:
        """Keep the answer and say whether it is right. Raises IndexError for an item the subject does not have."""
        items = self.items(subject)
        if not 0 <= item < len(items):
            raise IndexError(f"{subject} has no practice item {item}; it has {len(items)}, counted from 0")
        correct = is_correct(answer, items[item].answer)
        row = AnswerRow(session=session, subject=subject, item=item, answer=answer, correct=correct)
        with writing(self._engine) as database:
            queue(database, "practice_answer", row)
            database.add(row)
        metrics_collector.track_practice_answer(subject, correct)
        return correct


def is_correct(given: str, expected: str) -> bool:
    """Whether two answers agree: the same one number however it is written and whatever its unit, else the same terms."""
    number = _number(expected)
    return _number(given) == number if number is not None else terms(given) == terms(expected)


def _number(text: str) -> Fraction | None:
    """The number in a text that has exactly one."""
    found = _NUMBER.findall(text.replace("\N{MINUS SIGN}", "-"))
    try:
        return Fraction(re.sub(r"[,\s]", "", found[0])) if len(found) == 1 else None
    except ZeroDivisionError:
        return None
