"""The rules the tree promises, checked in the imports themselves."""

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from itertools import pairwise
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import otel_tutor
from otel_tutor import tools
from otel_tutor.catalogue import CATALOGUE
from otel_tutor.naming import all_series
from otel_tutor.tools.stack.ports import DEFAULTS

PACKAGE = Path(otel_tutor.__file__).parent
MODULES = sorted(
    name for _, name, _ in pkgutil.walk_packages([str(PACKAGE)], "otel_tutor.") if not name.endswith("__main__")
)


# From top to bottom: a module imports its own room, and rooms of lower layers.
LAYERS = (
    {"__main__"},
    {"tools"},
    {"demo", "pytest_plugin"},
    {"testing"},
    {"lifecycle"},
    {"rag"},
    {"monitoring", "health"},
    {"instrumentation", "pipeline", "tracing", "logs"},
    {"recording", "settings", "naming"},
    {"prices", "environment"},
    {"catalogue", "errors"},
)
LAYER = {room: number for number, rooms in enumerate(LAYERS) for room in rooms}
ITSELF = {"__init__", "__version__"}  # what the package itself says, for anyone


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "otel_tutor":
            yield from (f"otel_tutor.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def room(module: str) -> str:
    """`tools` of `otel_tutor.tools.cli`."""
    return [*module.split("."), "__init__"][1]


def importers(of: str) -> set[str]:
    return {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if any(name == of or name.startswith(f"{of}.") for name in imports(path))
    }


def test_no_import_goes_up() -> None:
    upward = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in PACKAGE.rglob("*.py")
        for own in [path.relative_to(PACKAGE).parts[0].removesuffix(".py")]
        for name in imports(path)
        if name.split(".")[0] == "otel_tutor" and not {own, room(name)} & ITSELF
        if room(name) != own and LAYER[room(name)] <= LAYER[own]
    ]

    assert upward == []


def test_every_room_has_its_layer() -> None:
    present = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}

    assert present - {"__init__"} == set(LAYER)


def test_only_tools_imports_what_only_the_command_needs(repository: Path) -> None:
    """`pip install otel-tutor` is enough for everything else."""
    extra = tomllib.loads((repository / "pyproject.toml").read_text())["project"]["optional-dependencies"]["stack"]
    wanted = {re.split(r"[^\w-]", requirement)[0].lower() for requirement in extra}
    installed = metadata.packages_distributions().items()
    modules = {module for module, distributions in installed if wanted & {name.lower() for name in distributions}}

    assert set(tools.NEEDED) <= modules, "otel_tutor/tools/__init__.py names what `otel-tutor` misses without its extra"
    assert len(tools.NEEDED) == len(wanted)
    assert {name.partition("/")[0] for module in modules for name in importers(module)} == {"tools"}
    assert [name for name in importers("otel_tutor.tools") if name.partition("/")[0] not in {"tools", "__main__.py"}] == []


@pytest.mark.processes
def test_configuring_and_recording_loads_nothing_of_the_command(tmp_path: Path) -> None:
    program = """
import sys, otel_tutor, otel_tutor.health, otel_tutor.monitoring, otel_tutor.rag, otel_tutor.testing, otel_tutor.tracing
from starlette.applications import Starlette
otel_tutor.configure(Starlette())
otel_tutor.monitoring.metrics_collector.track_rag_query("physics", 0.1, 3)
otel_tutor.shutdown()
print(*{name.partition(".")[0] for name in sys.modules}, *(name for name in sys.modules if "otel_tutor.tools" in name))
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)

    assert set(result.stdout.split()) & {*tools.NEEDED, "otel_tutor.tools"} == set()


def test_only_the_pipeline_and_the_test_kit_import_the_sdk() -> None:
    modules = importers("opentelemetry.sdk") | importers("opentelemetry.exporter")

    assert {module.partition("/")[0] for module in modules} == {"pipeline", "testing.py"}


def test_nothing_imports_a_prometheus_client() -> None:
    assert importers("prometheus_client") == set()


@pytest.mark.parametrize("name", MODULES)
def test_public_names_are_there(name: str) -> None:
    module = importlib.import_module(name)

    assert [public for public in getattr(module, "__all__", []) if not hasattr(module, public)] == []


def test_no_two_instruments_share_a_name() -> None:
    assert len({row.name for row in CATALOGUE}) == len(CATALOGUE)


def test_every_attribute_of_an_instrument_is_a_label_of_its_series() -> None:
    keys = {(series.instrument, key) for series in all_series() for key in series.keys}

    assert {(row.name, attribute.key) for row in CATALOGUE for attribute in row.attributes} - keys == set()


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


def test_every_package_that_the_checkout_needs_is_pinned_with_its_hashes() -> None:
    """`make pins` writes the file again."""
    root = PACKAGE.parent
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [
        *project["dependencies"],
        *(each for extra in ("sdk", "stack", "http", "demo", "top", "dev") for each in extras[extra]),
    ]
    pins = dict(re.findall(r"(?m)^([\w.-]+)(?:\[.*\])?==(\S+)", (root / "requirements.txt").read_text()))

    for requirement in map(Requirement, wanted):
        if requirement.name != "otel-tutor":
            assert requirement.specifier.contains(pins[requirement.name.lower()], prereleases=True), requirement
    lines = (root / "requirements.txt").read_text().splitlines()
    assert all("--hash=sha256:" in after for line, after in pairwise(lines) if "==" in line)
