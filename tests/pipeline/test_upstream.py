"""With any private part of OpenTelemetry renamed, nothing is missing from what is recorded, and one line says so."""

import ast
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import otel_tutor
from otel_tutor.pipeline import upstream
from otel_tutor.pipeline.upstream import WORK_AROUNDS, WorkAround
from tests.support.versions import SDK

CACHED, COUNTS, NAME = upstream.CACHED_RECORDING, upstream.FORKED_COUNTS, upstream.FORKED_NAME
STEADY, ENGINE = upstream.STEADY_HISTOGRAM, upstream.ENGINE_SPANS

PACKAGE = Path(otel_tutor.__file__).parent

# Every private name that `upstream` uses, and the work-arounds that are switched off without it.
PARTS: dict[str, list[WorkAround]] = {
    "_measurement_consumer": [CACHED, COUNTS],
    "_reader_storages": [CACHED, COUNTS],
    "_sdk_config": [CACHED, NAME] if SDK < (1, 44) else [CACHED],
    "Measurement": [CACHED],
    "time_unix_nano": [CACHED],
    "_get_or_init_view_instrument_match": [CACHED],
    "_attributes_aggregation": [CACHED],
    "_hash_attributes": [CACHED] if SDK >= (1, 45) else [],
    "_reset_on_collect": [CACHED] if SDK >= (1, 45, 2) else [],
    "_mapping": [CACHED],
    "_sum": [CACHED],
    "_sample_exemplar": [CACHED],
    "_SumAggregation": [CACHED],
    "_ExponentialBucketHistogramAggregation": [STEADY],
    "_create_aggregation": [STEADY],
    "_count": [STEADY],
    "_zero_count": [STEADY],
    "_scale": [STEADY],
    "_value_positive": [STEADY],
    "_value_negative": [STEADY],
    "_merge": [STEADY],
    "_counts": [STEADY],
    "_lock": [STEADY, COUNTS, upstream.REENTRANT_LOCKS],
    "_worker_awaken": [upstream.REENTRANT_LOCKS],
    "_batch_processor": [upstream.REENTRANT_LOCKS],
    "_metrics": [],  # of the SDK about itself, which some releases have elsewhere
    "_instrument_view_instrument_matches": [COUNTS],
    "_export_lock": [COUNTS],
    "_update_resource": [],  # what came before it does the same
    "_resource": [NAME] if SDK < (1, 44) else [],
    "_tracers": [NAME] if SDK < (1, 44) else [],
    "_update_resource|_resource": [NAME],
    "_active_loggers": [NAME] if SDK < (1, 44) else [],
    "_initialize_channel_and_stub": [upstream.FORKED_CONNECTION, upstream.WHOLE_BATCHES],
    "_translate_data": [upstream.WHOLE_BATCHES],
    "_stub": [upstream.WHOLE_BATCHES],
    "EngineTracer": [ENGINE],
    "_operation_name": [ENGINE],
    "_before_cur_exec": [ENGINE],
    "_after_cur_exec": [ENGINE],
    "_otel_span": [ENGINE],
    "_set_db_client_span_attributes": [ENGINE],
    "time_ns": [upstream.FROZEN_SPANS],
}
OLD_STARLETTE = ["-W", "ignore::DeprecationWarning:starlette.testclient"]  # in test_lower_bounds.py, next to a newer anyio
GROUPS = [list(PARTS)[::2], list(PARTS)[1::2]]  # a process each, to run side by side


def record_with(repository: Path, names: list[str]) -> list[dict[str, Any]]:
    """What an app records, once for each name, while OpenTelemetry has it renamed."""
    result = subprocess.run(
        [sys.executable, "-W", "error", *OLD_STARLETTE, "-m", "tests.support.renamed", *names],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=repository,
        env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")},
    )
    assert (result.returncode, "Traceback" in result.stderr, "ignored" in result.stderr) == (0, False, False), result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def assert_nothing_is_missing(renamed: dict[str, Any], usual: dict[str, Any]) -> None:
    assert not Counter(usual["spans"]) - Counter(renamed["spans"])  # there may be more
    assert not Counter(usual["measurements"]) - Counter(renamed["measurements"])
    assert set(usual["exemplars"]) <= set(renamed["exemplars"])
    assert renamed["requests"] == usual["requests"]
    assert (renamed["logs"], renamed["logs in a trace"]) == (usual["logs"], usual["logs in a trace"])


@pytest.mark.parametrize("names", GROUPS, ids=lambda names: names[0])
def test_with_a_private_part_renamed_nothing_is_missing_and_a_line_says_so(repository: Path, names: list[str]) -> None:
    usual, *renamed = record_with(repository, ["nothing", *names])

    assert usual["logged"] == []
    for name, recorded in zip(names, renamed, strict=True):
        for process in ("parent", "child"):
            assert_nothing_is_missing(recorded[process], usual[process])
        assert len(recorded["logged"]) == len(PARTS[name]), (name, recorded["logged"])
        for line, work_around in zip(recorded["logged"], PARTS[name], strict=True):
            installed = f"{work_around.distribution} {version(work_around.distribution)}"
            assert line.startswith(f"work-around {work_around.name!r} is switched off, it does not fit {installed} (")


def test_every_work_around_fits_what_is_installed() -> None:
    assert [work_around.name for work_around in WORK_AROUNDS if not upstream.is_usable(work_around)] == []


def test_each_says_why_it_is_there_and_what_replaces_it() -> None:
    assert len({work_around.name for work_around in WORK_AROUNDS}) == len(WORK_AROUNDS)
    for work_around in WORK_AROUNDS:
        assert work_around.reason.endswith(".")
        assert re.search(r"1\.4\d|0\.6\db\d", work_around.reason)
        assert work_around.instead


GUARDED = {"_max_overflow"}  # of SQLAlchemy; without it one gauge is left out
PRIVATE = re.compile(r"_[A-Za-z]\w*")
PUBLISHED = {"_logs", "_log_exporter", "_log_encoder"}  # the names under which OpenTelemetry publishes its logs signal


def private_imports(path: Path) -> set[str]:
    """Private names, and private modules, that a module imports from OpenTelemetry."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names = {name for node in imports for alias in node.names for name in (*(node.module or "").split("."), alias.name)}
    return {name for name in names if PRIVATE.fullmatch(name)} - PUBLISHED


def foreign_private_attributes(path: Path) -> set[str]:
    """Private attributes that a module reads or sets and that no module of the package defines."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and PRIVATE.fullmatch(node.attr)} - OWN


def defined(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                for name in ast.walk(target):
                    if isinstance(name, ast.Attribute) and isinstance(name.value, ast.Name) and name.value.id == "self":
                        yield name.attr
                    elif isinstance(name, ast.Name):
                        yield name.id


UPSTREAM = sorted(Path(upstream.__file__).parent.glob("*.py"))
MODULES = [path for path in PACKAGE.rglob("*.py") if path not in UPSTREAM]
OWN = {name for path in MODULES for name in defined(path)}


def test_no_other_module_touches_a_private_part() -> None:
    touched = {str(path.relative_to(PACKAGE)): private_imports(path) | foreign_private_attributes(path) for path in MODULES}

    assert {module: names - GUARDED for module, names in touched.items() if names - GUARDED} == {}


def test_every_private_part_that_is_touched_is_renamed_in_a_test() -> None:
    used = set().union(*(private_imports(path) | foreign_private_attributes(path) for path in UPSTREAM))
    modules = {"_internal", "_shared_internal", "_view_instrument_match"}

    assert used - modules - set(PARTS) == set()
