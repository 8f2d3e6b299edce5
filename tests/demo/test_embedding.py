"""The embedding model: trained, quantized, stored."""

import numpy as np

from otel_tutor.demo.corpus import read_passages
from otel_tutor.demo.embedding import EmbeddingModel


def test_training_twice_gives_the_same_model() -> None:
    texts = [passage.text for passage in read_passages()[:100]]

    assert EmbeddingModel.train(texts, 16).to_bytes() == EmbeddingModel.train(texts, 16).to_bytes()


def test_a_stored_model_embeds_as_the_one_it_was(model: EmbeddingModel) -> None:
    restored = EmbeddingModel.from_bytes(*model.to_bytes())

    assert np.array_equal(restored.embed("the speed of light"), model.embed("the speed of light"))
    assert restored.name == "tutor-lsa-128"


def test_its_size_is_that_of_its_arrays_and_mostly_the_int8_projection(model: EmbeddingModel) -> None:
    terms = len(model.vocabulary)

    assert model.projection.dtype == np.int8
    assert model.num_bytes == terms * 128 + terms * 4 + 128 * 4


def test_related_texts_are_closer_than_unrelated_ones(model: EmbeddingModel) -> None:
    question = model.embed("How do volcanoes erupt?")

    assert question @ model.embed("Magma rises and a volcano erupts.") > 0.5
    assert question @ model.embed("Parliament fought the king.") < 0.2


def test_a_vector_has_length_1_or_0_for_a_text_it_knows_nothing_of(model: EmbeddingModel) -> None:
    assert abs(np.linalg.norm(model.embed("energy")) - 1) < 1e-5
    assert not model.embed("zzzz qqqq").any()
    assert model.embed_all([]).shape == (0, 128)
