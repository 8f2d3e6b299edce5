"""naming.yaml is interpreted where it can be, and what cannot be interpreted stays with the families it may touch."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from otel_tutor.catalogue import CATALOGUE
from otel_tutor.errors import ConfigurationError
from otel_tutor.settings import shipped_config_dir
from otel_tutor.tools.naming import Family, read_naming

LAST: Final = 'statements: ["delete_index(datapoint.explicit_bounds, 0)"]\n'
ALL: Final = {family.name for family in read_naming(shipped_config_dir())}
QUESTIONS, CPU = {"student_questions_total"}, {"system_cpu_usage_percent"}

Families = dict[str, Family]
Read = Callable[..., Families]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(shipped_config_dir() / "collector", tmp_path / "collector", ignore=shutil.ignore_patterns("build"))
    return tmp_path


@pytest.fixture
def read(folder: Path) -> Read:
    """The families once a group of statements was added at the end."""

    def add(*statements: str, **options: object) -> Families:
        group = json.dumps({**options, "statements": statements})  # JSON is YAML
        edit(folder / "collector" / "naming.yaml", LAST, f"{LAST}      - {group}\n")
        return {family.name: family for family in read_naming(folder)}

    return add


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def uninterpreted(families: Families) -> set[str]:
    return {name for name, family in families.items() if family.uninterpreted}


def test_the_files_as_they_are_shipped_are_understood_whole() -> None:
    assert [family.name for family in read_naming(shipped_config_dir()) if family.uninterpreted] == []


def test_a_reason_has_the_line_and_the_statement(read: Read, folder: Path) -> None:
    statement = 'limit(datapoint.attributes, 1, []) where metric.name == "student.questions"'
    families = read(statement)
    lines = (folder / "collector" / "naming.yaml").read_text().splitlines()
    number = next(number for number, line in enumerate(lines, 1) if "limit(" in line)

    assert uninterpreted(families) == QUESTIONS
    reason = f"naming.yaml line {number}, {statement}: the function limit is not interpreted"
    assert families["student_questions_total"].uninterpreted == reason


def test_what_else_is_known_of_an_uninterpreted_family_stays(read: Read) -> None:
    family = read('flatten(datapoint.attributes) where metric.name == "student.questions"')["student_questions_total"]

    assert (family.type, family.labels, family.instrument) == ("counter", ("subject", "topic"), "student.questions")


# What is not understood in a statement, and the families that it may touch.
NOT_UNDERSTOOD = {
    "limit(datapoint.attributes, 9, [])": ALL,
    'set(metric.name, Concat([metric.name, "x"], "")) where metric.unit == "%"': CPU,
    'set(metric.unit, "${env:UNIT}") where metric.unit == "%"': CPU,
    'set(metric.name, "x") where datapoint.attributes["topic"] == "optics"': QUESTIONS,
    'replace_pattern(metric.name, "^", "x") where metric.unit == "%" and datapoint.value_int > 1': CPU,
    'replace_pattern(metric.name, "^(\\\\pL)", "x") where metric.unit == "%"': CPU,
    'replace_pattern(metric.name, "^(", "x") where metric.unit == "%"': CPU,
    'some_day(metric.name, {"a": [1, -2.5e3]}, (x) => x == 1, SHA256) where metric.unit == "%"': CPU,
    'set(metric.unit, "x") where metric.unit == "%" and 1 + 1 > -(3 * 2)': CPU,
    'set(metric.unit, "x") where @ or metric.unit == "%"': ALL,
    'copy_metric(name=metric.cache["x"]) where metric.name == "student.questions"': QUESTIONS,
    'copy_metric() where metric.name == "student.questions"': QUESTIONS,  # without an end
}


@pytest.mark.parametrize("statement", NOT_UNDERSTOOD)
def test_a_statement_that_is_not_understood_concerns_what_it_may_touch(read: Read, statement: str) -> None:
    assert uninterpreted(read(statement)) == NOT_UNDERSTOOD[statement]


@pytest.mark.parametrize(
    "statement",
    [
        'set(resource.attributes["a"], Split(resource.attributes["b"], ",")[0])',
        'set(metric.cache["a"], datapoint.value_double * 2)',
        'set(metric.name, "x") where datapoint.attributes["nowhere"] == "optics"',
        'set(datapoint.attributes["topic"], "none") where datapoint.attributes["topic"] == ""',
        'truncate_all(datapoint.attributes, 100) where datapoint.attributes["topic"] != nil',
        'set(metric.unit, "x") where false and some_day()',
        'some_day() where metric.name == "nothing" or not true',
    ],
)
def test_a_statement_on_which_no_name_depends_is_no_obstacle(read: Read, statement: str) -> None:
    assert set(read(statement)) == ALL
    assert uninterpreted(read(statement)) == set()


def test_conditions_are_alternatives_and_hold_before_the_first_statement(read: Read) -> None:
    conditions = ['metric.unit == "%"', 'metric.name == "student.questions"']
    families = read('set(metric.name, "x")', 'set(metric.unit, "h")', conditions=conditions)

    assert families.keys() - ALL == {"x_hours", "x_hours_total"}


def test_what_a_statement_adds_goes_through_the_rest_of_the_file(read: Read) -> None:
    families = read(
        'copy_metric(name="a") where metric.unit == "%"',
        'set(metric.name, "b") where metric.name == "a"',
        'extract_count_metric(true, ".n") where metric.name == "sync.duration"',
        'set(metric.unit, "KiBy") where metric.name == "sync.duration.n"',
    )

    assert families.keys() - ALL == {"b_percent", "sync_duration_n_kibibytes_total"}
    assert families["b_percent"].instrument == "system.cpu.usage"


def test_what_depends_on_the_number_of_data_points_is_not_told(read: Read) -> None:
    once = read('set(metric.name, "x") where metric.unit == "%"', context="datapoint")
    twice = read(
        'replace_pattern(metric.name, "^", "a") where metric.unit == "h"', 'set(metric.unit, "h")', context="datapoint"
    )

    assert uninterpreted(once) == set()
    assert uninterpreted(twice) == set(twice) - {"telemetry_unconverted_total"}


def test_an_error_that_is_propagated_concerns_everything(read: Read) -> None:
    statement = 'extract_count_metric(true) where metric.unit == "%"'

    assert uninterpreted(read(statement)) == set()
    assert uninterpreted(read(statement, error_mode="propagate")) == ALL


def test_metrics_that_become_one_family_are_one_if_they_are_alike(read: Read) -> None:
    alike = read('set(metric.name, "x") where IsMatch(metric.name, "^system.disk")', 'set(metric.description, "Disk.")')
    unlike = read('set(metric.name, "y") where metric.unit == "By" and metric.type == METRIC_DATA_TYPE_GAUGE')

    assert uninterpreted(alike) == set()
    assert uninterpreted(unlike) == {"y_bytes"}


def test_go_replaces_groups_by_their_longest_name(read: Read) -> None:
    families = read(r'replace_pattern(metric.name, "^student\\.(\\w+)$", "$${1}_$$1_$$9$$$$")')

    assert families.keys() - ALL == {"questions_total"}  # $1_ is a group that there is not


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (
            "redaction/shapes, transform/naming]",
            "filter/some, transform/naming]",
            "the processor filter/some is not interpreted",
        ),
        (
            "  prometheus:\n    end",
            "  prometheus:\n    namespace: tutor\n    end",
            "the option namespace of the exporter prometheus",
        ),
        ("exporters: [prometheus]", "exporters: [debug]", "no single way leads from the receiver otlp"),
        ("receivers: [span_metrics]", "receivers: [span_metrics, otlp]", "no single way leads"),
    ],
)
def test_what_else_names_depend_on_concerns_all_of_them(folder: Path, old: str, new: str, reason: str) -> None:
    edit(folder / "collector" / "config.yaml", old, new)
    families = read_naming(folder)

    assert {family.name for family in families} == ALL
    assert all(reason in family.uninterpreted for family in families)


def test_a_file_that_is_no_yaml_is_named(folder: Path) -> None:
    (folder / "collector" / "naming.yaml").write_text("processors: [", encoding="utf-8")

    with pytest.raises(ConfigurationError, match=r"naming\.yaml: cannot be read"):
        read_naming(folder)


def test_no_entry_gives_a_name_that_the_exporter_gives_anyway(folder: Path) -> None:
    path = folder / "collector" / "naming.yaml"
    text = path.read_text(encoding="utf-8")
    for entry in re.findall(r'^ +- set\(metric\.name, "(?!telemetry_unconverted|model\.tokens).*\n', text, re.MULTILINE):
        path.write_text(text.replace(entry, f'{" " * 10}- set(metric.cache["x"], 1)\n'), encoding="utf-8")
        assert {family.name for family in read_naming(folder)} != ALL, f"not needed: {entry.strip()}"


def test_an_entry_is_about_an_instrument_that_exists() -> None:
    text = (shipped_config_dir() / "collector" / "naming.yaml").read_text(encoding="utf-8")
    named = set(re.findall(r'metric\.name == "([^"]+)"', text[text.index("transform/naming:") :]))

    assert named - {name for row in CATALOGUE for name in (row.name, f"{row.name}.count")} == set()
