"""The files of the corpus, read into passages, questions and practice items."""

from otel_tutor.demo.corpus import read_passages, read_practice, read_questions


def test_every_subject_has_topics_with_several_passages_each() -> None:
    passages = read_passages()
    by_topic: dict[tuple[str, str], int] = {}
    for passage in passages:
        by_topic[passage.subject, passage.topic] = by_topic.get((passage.subject, passage.topic), 0) + 1

    assert len({subject for subject, _ in by_topic}) == 7
    assert len(passages) >= 400
    assert min(by_topic.values()) >= 3


def test_every_question_and_practice_item_belongs_to_a_topic_of_the_corpus() -> None:
    topics = {(passage.subject, passage.topic) for passage in read_passages()}

    assert {(question.subject, question.topic) for question in read_questions()} <= topics
    assert {(item.subject, item.topic) for item in read_practice()} <= topics


def test_no_passage_question_or_answer_is_blank() -> None:
    assert all(passage.text for passage in read_passages())
    assert all(question.text for question in read_questions())
    assert all(item.question and item.answer for item in read_practice())
