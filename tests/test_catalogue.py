"""The tables of the catalogue hold every row there is, each once."""

from otel_tutor import catalogue
from otel_tutor.catalogue import ATTRIBUTES, CATALOGUE, Attribute, Instrument, Kind


def test_every_instrument_is_in_the_table() -> None:
    assert [value for value in vars(catalogue).values() if isinstance(value, Instrument)] == list(CATALOGUE)
    assert len({row.name for row in CATALOGUE}) == len(CATALOGUE)


def test_every_attribute_is_in_the_table() -> None:
    assert [value for value in vars(catalogue).values() if isinstance(value, Attribute)] == list(ATTRIBUTES)
    assert len({attribute.key for attribute in ATTRIBUTES}) == len(ATTRIBUTES)


def test_instruments_have_attributes_of_the_table_only() -> None:
    assert {attribute for row in CATALOGUE for attribute in row.attributes} == set(ATTRIBUTES)


def test_every_kind_is_used() -> None:
    assert {row.kind for row in CATALOGUE} == set(Kind)
