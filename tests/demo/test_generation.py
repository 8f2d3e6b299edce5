"""Writing an answer from passages."""

import pytest
from sqlalchemy import Engine

from otel_tutor.demo.corpus import Passage, read_questions
from otel_tutor.demo.embedding import EmbeddingModel
from otel_tutor.demo.generation import GenerationError, Generator, input_tokens
from otel_tutor.demo.retrieval import Retriever
from otel_tutor.demo.text import count_tokens, sentences


def passage(text: str) -> Passage:
    return Passage(subject="physics", topic="density_and_pressure", text=text)


def test_every_question_of_the_corpus_is_answered_with_sentences_of_its_sources(
    engine: Engine, model: EmbeddingModel
) -> None:
    retriever, generator = Retriever(engine, model), Generator(model)
    for question in read_questions():
        found = [scored.passage for scored in retriever.retrieve(question.text, question.subject).passages]
        answer = generator.generate(question.text, found)
        known = {sentence for source in answer.sources for sentence in sentences(source.text)}

        assert 1 <= len(sentences(answer.text)) <= 3
        assert set(sentences(answer.text)) <= known


def test_the_sentence_that_answers_is_chosen(model: EmbeddingModel) -> None:
    passages = [
        passage("Pressure is force divided by area. It is measured in pascals."),
        passage("A steel ship floats because its hull holds air. Ice floats on water."),
    ]

    assert "hull holds air" in Generator(model).generate("Why does a steel ship float?", passages).text


def test_a_repeated_sentence_is_used_once(model: EmbeddingModel) -> None:
    sentence = "A steel ship floats because its hull holds air."
    answer = Generator(model).generate(
        "Why does a ship float?", [passage(sentence), passage(f"{sentence} Ice floats on water. Pressure acts on area.")]
    )

    assert answer.text.count(sentence) == 1


def test_tokens_are_counted_in_what_was_read_and_written(model: EmbeddingModel) -> None:
    found = [passage("Ice floats on water."), passage("Pressure is force divided by area.")]
    answer = Generator(model).generate("Why does ice float?", found)

    assert input_tokens("Why does ice float?", found) == 5 + 5 + 7
    assert answer.output_tokens == count_tokens(answer.text) > 0


@pytest.mark.parametrize("texts", [[], ["Parliament fought the king."], ["", "qqqq zzzz"]])
def test_passages_that_do_not_help_are_an_error(model: EmbeddingModel, texts: list[str]) -> None:
    with pytest.raises(GenerationError, match=f"of the {len(texts)} passages"):
        Generator(model).generate("Why does ice float?", [passage(text) for text in texts])
