"""Finding passages, and what a question is about."""

import pytest
from sqlalchemy import Engine

from otel_tutor.demo.corpus import read_questions
from otel_tutor.demo.embedding import EmbeddingModel
from otel_tutor.demo.retrieval import UNKNOWN, Retriever


@pytest.fixture
def retriever(engine: Engine, model: EmbeddingModel) -> Retriever:
    return Retriever(engine, model)


def test_most_questions_find_their_subject_and_topic_by_themselves(retriever: Retriever) -> None:
    questions = read_questions()
    found = [(question, retriever.retrieve(question.text)) for question in questions]

    assert sum(question.subject == one.subject for question, one in found) >= 0.8 * len(questions)
    assert sum(question.topic == one.topic for question, one in found) >= 0.6 * len(questions)


def test_a_named_subject_is_the_only_one_searched(retriever: Retriever) -> None:
    found = retriever.retrieve("How do volcanoes erupt?", "history", top_k=3)

    assert found.subject == "history"
    assert {scored.passage.subject for scored in found.passages} == {"history"}


def test_passages_come_best_first_and_no_more_than_asked_for(retriever: Retriever) -> None:
    passages = retriever.retrieve("What is the speed of a wave?", top_k=4).passages

    assert 0 < len(passages) <= 4
    assert [one.score for one in passages] == sorted((one.score for one in passages), reverse=True)


@pytest.mark.parametrize(
    "question",
    ['"', '" OR NEAR(', "NOT AND OR", "*", "topic:cells", "a-b ^c +d", "'; DROP TABLE passages;--", "{x} (y", "\x00", "🙂"],
)
def test_no_text_breaks_the_search(retriever: Retriever, question: str) -> None:
    retriever.retrieve(question)
    retriever.retrieve(f"{question} energy {question}")


def test_nothing_is_found_for_a_question_about_nothing_in_the_corpus(retriever: Retriever) -> None:
    found = retriever.retrieve("zzzz qqqq")

    assert (found.subject, found.topic, list(found.passages)) == (UNKNOWN, UNKNOWN, [])
    assert retriever.retrieve("zzzz qqqq", "physics").subject == "physics"
