"""What the tutor knows and is asked: passages, student questions and practice items from the files of `corpus/`."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from io import StringIO

__all__ = ["Passage", "PracticeItem", "Question", "read_passages", "read_practice", "read_questions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One paragraph about a topic of a subject."""

    subject: str
    topic: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question as a student would put it, with the subject and topic it belongs to."""

    subject: str
    topic: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PracticeItem:
    """A question with a short answer that can be marked."""

    subject: str
    topic: str
    question: str
    answer: str


def read_passages() -> tuple[Passage, ...]:
    """Every passage, subjects in alphabetical order, passages in the order of their file."""
    subjects = sorted((file for file in _corpus().iterdir() if file.name.endswith(".md")), key=lambda file: file.name)
    return tuple(
        passage
        for file in subjects
        for passage in _passages(file.name.removesuffix(".md"), file.read_text(encoding="utf-8"))
    )


def read_questions() -> tuple[Question, ...]:
    """Every student question, in file order."""
    return tuple(
        Question(subject=row["subject"], topic=row["topic"], text=row["question"]) for row in _rows("questions.csv")
    )


def read_practice() -> tuple[PracticeItem, ...]:
    """Every practice item, in file order."""
    return tuple(
        PracticeItem(subject=row["subject"], topic=row["topic"], question=row["question"], answer=row["answer"])
        for row in _rows("practice.csv")
    )


def _corpus() -> Traversable:
    return files("otel_tutor.demo").joinpath("corpus")


def _rows(name: str) -> Iterator[dict[str, str]]:
    yield from csv.DictReader(StringIO(_corpus().joinpath(name).read_text(encoding="utf-8")))


def _passages(subject: str, markdown: str) -> Iterator[Passage]:
    topic = ""
    for line in markdown.splitlines():
        if line.startswith("## "):
            topic = line.removeprefix("## ").strip()
        elif line.strip() and not line.startswith("#"):
            if not topic:
                raise ValueError(f"corpus/{subject}.md: a passage stands before the first topic: {line[:40]!r}")
            yield Passage(subject=subject, topic=topic, text=line.strip())
