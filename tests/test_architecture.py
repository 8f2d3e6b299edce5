"""The rules the tree promises, checked in the imports themselves."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import otel_tutor
from otel_tutor.catalogue import CATALOGUE
from otel_tutor.tools.stack.ports import DEFAULTS

PACKAGE = Path(otel_tutor.__file__).parent
MODULES = sorted(
    name for _, name, _ in pkgutil.walk_packages([str(PACKAGE)], "otel_tutor.") if not name.endswith("__main__")
)


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def importers(of: str) -> set[str]:
    return {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if any(name == of or name.startswith(f"{of}.") for name in imports(path))
    }


def test_only_the_pipeline_and_the_test_kit_import_the_sdk() -> None:
    modules = importers("opentelemetry.sdk") | importers("opentelemetry.exporter")

    assert {module.partition("/")[0] for module in modules} == {"pipeline", "testing.py"}


def test_nothing_imports_a_prometheus_client() -> None:
    assert importers("prometheus_client") == set()


# From the bottom up: a part of the package imports what stands before it, and never what stands after it.
ORDER = (
    *("errors", "catalogue", "settings", "recording", "instrumentation", "tracing", "monitoring", "rag", "logs", "health"),
    *("pipeline", "lifecycle", "naming", "testing", "pytest_plugin", "demo", "tools", "__main__"),
)


def parts(path: Path) -> set[str]:
    """The parts of the package that a module imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("otel_tutor.")} & set(ORDER)


def test_no_import_goes_up() -> None:
    paths = {path: path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in PACKAGE.rglob("*.py")}
    upward = {
        str(path.relative_to(PACKAGE)): higher
        for path, part in paths.items()
        if part != "__init__" and (higher := {name for name in parts(path) if ORDER.index(name) > ORDER.index(part)})
    }

    assert upward == {}


def test_every_part_of_the_package_has_its_place() -> None:
    present = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}

    assert present - {"__init__"} == set(ORDER)


def test_the_sdk_part_does_not_know_the_stack() -> None:
    assert {name.partition("/")[0] for name in importers("otel_tutor.tools")} == {"tools", "__main__.py"}


@pytest.mark.parametrize("name", MODULES)
def test_public_names_are_there(name: str) -> None:
    module = importlib.import_module(name)

    assert [public for public in getattr(module, "__all__", []) if not hasattr(module, public)] == []


def test_every_instrument_has_an_entry_in_the_naming_file(repository: Path) -> None:
    naming = (repository / "collector" / "naming.yaml").read_text(encoding="utf-8")

    assert [row.name for row in CATALOGUE if f'metric.name == "{row.name}"' not in naming] == []
    assert len({row.name for row in CATALOGUE}) == len(CATALOGUE)


def test_every_attribute_becomes_a_label_in_the_naming_file(repository: Path) -> None:
    naming = (repository / "collector" / "naming.yaml").read_text(encoding="utf-8")
    patterns = [pattern.replace(r"\\", "\\") for pattern in re.findall(r'attributes, "key", "([^"]+)"', naming)]

    assert {
        a.key for row in CATALOGUE for a in row.attributes if not any(re.match(pattern, a.key) for pattern in patterns)
    } == set()


def test_default_ports_are_the_same_in_code_and_configuration(repository: Path) -> None:
    text = "".join(path.read_text() for path in (repository / "collector").rglob("*.yaml"))
    written = {name: f"OTEL_TUTOR_{name.upper().replace('-', '_')}_PORT:-{port}" for name, port in DEFAULTS.items()}

    read_from_environment = {name for name in DEFAULTS if f"OTEL_TUTOR_{name.upper().replace('-', '_')}_PORT" in text}
    assert {name for name in read_from_environment if written[name] not in text} == set()
    assert f"OTEL_TUTOR_JAEGER_OTLP:-127.0.0.1:{DEFAULTS['jaeger-otlp']}" in text
    assert f"OTEL_TUTOR_VICTORIALOGS:-http://127.0.0.1:{DEFAULTS['victorialogs']}" in text


def test_the_project_calls_itself_by_one_version(repository: Path) -> None:
    newest = next(line for line in (repository / "CHANGELOG.md").read_text().splitlines() if line.startswith("## "))

    assert newest in {"## Unreleased", f"## {otel_tutor.__version__}"}


def test_continuous_integration_runs_what_a_user_runs(repository: Path) -> None:
    assert "make test" in (repository / ".ci" / "run").read_text()
