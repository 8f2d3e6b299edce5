"""The reference and the app's table of series are what the catalogue and naming.yaml say."""

from pathlib import Path

from otel_tutor.catalogue import CATALOGUE
from otel_tutor.naming import all_series
from otel_tutor.tools.naming import read_naming
from otel_tutor.tools.reference import COMMAND, render, render_json


def test_the_reference_and_the_table_of_series_are_current(repository: Path) -> None:
    series = read_naming(repository)

    for path, text in (("collector/reference.md", render(series)), ("otel_tutor/series.json", render_json(series))):
        assert (repository / path).read_text(encoding="utf-8") == text, f"{path} is out of date: run {COMMAND}"


def test_every_instrument_has_its_series_and_no_two_share_a_name() -> None:
    assert {row.name for row in CATALOGUE} == {series.instrument for series in all_series()}
    assert len({series.name for series in all_series()}) == len(all_series())


def test_every_histogram_has_buckets_in_rising_order() -> None:
    for series in all_series():
        assert bool(series.buckets) is (series.type == "histogram"), series.name
        assert list(series.buckets) == sorted(set(series.buckets)), series.name


def test_the_buckets_have_the_objectives_among_them() -> None:
    buckets = {series.name: series.buckets for series in all_series()}

    assert 2.0 in buckets["http_request_duration_seconds"]
    assert 0.5 in buckets["rag_retrieval_duration_seconds"]
    assert 10.0 in buckets["model_inference_duration_seconds"]
