"""The naming file is understood whole, and the reference is what it and the catalogue say."""

from pathlib import Path

import pytest

from otel_tutor.catalogue import CATALOGUE
from otel_tutor.errors import ConfigurationError
from otel_tutor.naming import read_naming
from otel_tutor.tools.reference import render


@pytest.fixture
def naming(repository: Path) -> Path:
    return repository / "collector" / "naming.yaml"


def test_the_reference_is_current(repository: Path, naming: Path) -> None:
    written = (repository / "collector" / "reference.md").read_text(encoding="utf-8")

    assert written == render(read_naming(naming)), "write it anew with: python -m otel_tutor.tools.reference"


def test_every_instrument_gets_a_name_in_the_naming_file(naming: Path) -> None:
    series = read_naming(naming)

    assert {row.name for row in CATALOGUE} == {one.instrument for one in series if one.line}
    assert [one.name for one in series if not one.line] == []
    assert len({one.name for one in series}) == len(series)


def test_every_histogram_has_buckets_in_rising_order(naming: Path) -> None:
    for one in read_naming(naming):
        assert bool(one.buckets) is (one.type == "histogram"), one.name
        assert list(one.buckets) == sorted(set(one.buckets)), one.name


def test_the_buckets_have_the_objectives_among_them(naming: Path) -> None:
    buckets = {one.name: one.buckets for one in read_naming(naming)}

    assert 2.0 in buckets["http_request_duration_seconds"]
    assert 0.5 in buckets["rag_retrieval_duration_seconds"]
    assert 10.0 in buckets["model_inference_duration_seconds"]


def test_a_rule_for_an_instrument_that_does_not_exist_is_found(naming: Path) -> None:
    text = naming.read_text(encoding="utf-8")
    statements = text[text.index("transform/naming:") :]
    named = {part.partition('"')[0] for part in statements.split('metric.name == "')[1:]}

    assert named - {name for row in CATALOGUE for name in (row.name, f"{row.name}.count")} == set()


def test_a_statement_that_is_not_understood_is_named_with_its_line(naming: Path, tmp_path: Path) -> None:
    other = tmp_path / "naming.yaml"
    text = naming.read_text(encoding="utf-8")
    line = text[: text.index('set(metric.name, "http_requests_total")')].count("\n") + 1
    other.write_text(text.replace('set(metric.name, "http_requests_total")', 'limit(metric, "x")'), encoding="utf-8")

    with pytest.raises(ConfigurationError, match=rf"naming.yaml line {line}: .*limit\(metric"):
        read_naming(other)
