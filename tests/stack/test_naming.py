"""The naming file is the Collector's: whatever a user writes into it, what is read from it is what comes out."""

import math
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from otel_tutor.catalogue import CATALOGUE, Attribute, Instrument, Kind
from otel_tutor.settings import shipped_config_dir
from otel_tutor.tools.naming import read_naming
from tests.support.collector import Collect

HTTP = '- conditions: [metric.name == "http.server.request.duration"]\n        statements:\n'
RAG = 'conditions: [metric.name == "rag.context.documents" or metric.name == "rag.context.cited"]'
LAST = 'statements: ["delete_index(datapoint.explicit_bounds, 0)"]\n'
PROCESSORS = "processors: [memory_limiter, redaction, redaction/shapes, transform/naming]"


def more(*statements: str) -> Mapping[str, str]:
    """Another transform, behind the one that is there."""
    text = "".join(f"      - {statement}\n" for statement in statements)
    added = f"{LAST}\n  transform/more:\n    metric_statements:\n{text}"
    return {PROCESSORS: PROCESSORS.replace("]", ", transform/more]"), LAST: added}


def group(*statements: str, **options: str) -> Mapping[str, str]:
    """Another group of statements at the end."""
    head = "".join(f"        {name}: {value}\n" for name, value in options.items())
    text = "".join(f"          - {statement}\n" for statement in statements)
    return {LAST: f"{LAST}      -\n{head}        statements:\n{text}"}


EDITS = {
    "a comment": {HTTP: f"# A remark.\n      {HTTP}"},
    "a unit": {HTTP: f'{HTTP}          - set(metric.unit, "s")\n'},
    "another unit": {HTTP: f'{HTTP}          - set(metric.unit, "ms") where metric.type != METRIC_DATA_TYPE_SUM\n'},
    "an or": {RAG: 'conditions: [metric.name == "rag.context.documents" or metric.name == "event_loop.lag"]'},
    "alternatives": {RAG: 'conditions: [metric.name == "rag.context.documents", metric.unit == "By", metric.type == 3]'},
    "a renamed transform": {"transform/naming": "transform/names"},
    "another transform": more(
        r'replace_pattern(metric.name, "^student\\.(\\w+)", "learner.$$1")',
        'set(metric.unit, "1") where IsMatch(metric.name, "^(sync|health)") and not (metric.name == "sync.queue.size")',
        'convert_sum_to_gauge() where metric.name == "learner.sessions.active" or metric.name == "sync.records"',
        'convert_gauge_to_sum("cumulative", true) where metric.name == "model.memory.usage"',
        'set(metric.is_monotonic, false) where metric.name == "otel_tutor.attribute.folded"',
    ),
    "functions that add and change": group(
        'copy_metric(name="a.copy", unit="KiBy") where metric.name == "system.disk.usage"',
        'extract_sum_metric(true, ".added") where metric.name == "sync.duration"',
        'extract_count_metric(false) where metric.name == "event_loop.lag"',
        'scale_metric(0.001, "ks") where metric.name == "process.uptime"',
        'aggregate_on_attributes("max") where metric.name == "health.status"',
    ),
    "labels": group(
        'delete_key(datapoint.attributes, "topic")',
        'set(datapoint.attributes["tier"], "gold") where metric.name == "student.questions"',
        'keep_keys(datapoint.attributes, ["path"]) where metric.name == "system.disk.usage"',
        'delete_matching_keys(datapoint.attributes, "^(pool|state)$") where metric.name == "db_client_connections"',
        'replace_all_patterns(datapoint.attributes, "value", "a", "b")',
        'set(datapoint.attributes["none"], datapoint.attributes["missing"])',
        context="datapoint",
    ),
    "a context and paths without it": group('set(name, "renamed_uptime") where name == "process.uptime"', context="metric"),
    "a list without its zero": {"[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 8.0, 13.0, 21.0]": "[1.0, 2.0, 3.0]"},
    "nothing of the resource": group('set(resource.attributes["team"], "tutors")', 'set(scope.name, "x")'),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(shipped_config_dir() / "collector", tmp_path / "collector", ignore=shutil.ignore_patterns("build"))
    return tmp_path


def edit(folder: Path, changes: Mapping[str, str]) -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in (folder / "collector").glob("[cn]*.yaml")}
    for old, new in changes.items():
        assert any(old in text for text in texts.values()), old
        texts = {path: text.replace(old, new) for path, text in texts.items()}
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")


def check(collect: Collect, folder: Path, uninterpreted: set[str], *rows: Instrument) -> None:
    """Every family that is interpreted comes out exactly so, and no other family does."""
    families, pages = read_naming(folder, [*CATALOGUE, *rows]), collect(folder, *rows)
    assert {family.name for family in families if family.uninterpreted} == uninterpreted
    for family in families:
        if not family.uninterpreted:
            page = pages[family.name]
            assert (page.type, page.meaning) == (family.type, family.meaning), family.name
            assert page.labels == set(family.labels), family.name
            assert page.bounds - {math.inf} == set(family.buckets), family.name
    if not uninterpreted:
        assert pages.keys() - {family.name for family in families} == {"target_info"}


@pytest.mark.parametrize("changes", EDITS.values(), ids=EDITS)
def test_what_is_interpreted_comes_out_so(collect: Collect, folder: Path, changes: Mapping[str, str]) -> None:
    edit(folder, changes)

    check(collect, folder, set())


UNINTERPRETED = {
    "another function": (
        group('limit(datapoint.attributes, 1, []) where metric.name == "student.questions"'),
        {"student_questions_total"},
    ),
    "a name that is computed": (
        more('set(metric.name, Concat(["x", metric.name], "_")) where metric.unit == "%"'),
        {"system_cpu_usage_percent"},
    ),
    "a condition on values": (
        group('set(metric.description, "Physics") where datapoint.attributes["topic"] == "optics"'),
        {"student_questions_total"},
    ),
    "arithmetic": (group('set(metric.unit, "h") where 1 + 1 == 2 and metric.unit == "%"'), {"system_cpu_usage_percent"}),
    "another processor": (
        {PROCESSORS: PROCESSORS.replace("]", ", filter/some]"), LAST: f"{LAST}\n  filter/some: {{}}\n"},
        {family.name for family in read_naming(shipped_config_dir())},
    ),
}


@pytest.mark.parametrize(("changes", "names"), UNINTERPRETED.values(), ids=UNINTERPRETED)
def test_what_is_not_interpreted_concerns_no_other_family(
    collect: Collect, folder: Path, changes: Mapping[str, str], names: set[str]
) -> None:
    edit(folder, changes)

    check(collect, folder, names)


def row(name: str, kind: Kind, unit: str, *keys: str) -> Instrument:
    return Instrument(name, kind, unit, tuple(Attribute(key, 1) for key in keys), f"What {name} measures.")


def test_a_name_without_an_entry_is_the_exporters(collect: Collect, folder: Path) -> None:
    gauge, counter, up_down = Kind.OBSERVABLE_GAUGE, Kind.COUNTER, Kind.OBSERVABLE_UP_DOWN_COUNTER
    check(
        collect,
        folder,
        set(),
        row("a.b__c.", gauge, "ms", "a.b-c", "9lives"),
        row("cache.hit.ratio", gauge, "1"),
        row("cache.hits", up_down, "1"),
        row("requests.total.seen", counter, "1"),
        row("net.io", gauge, "By/s"),
        row("net.io_per_second", gauge, "KiBy/min"),
        row("seconds.spent", counter, "s"),
        row("speed", gauge, "{car}/s"),
        row("odd", gauge, "foo#/bar baz"),
        row("odd.hash", counter, "foo#"),
        row("warmth", gauge, "Cel"),
        row("share", up_down, "%"),
        row("mixed-case/name", Kind.HISTOGRAM, "d"),
    )
