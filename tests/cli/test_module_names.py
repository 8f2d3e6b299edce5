"""Command lines that are written down: compose.yaml, Dockerfile, README, runbooks, docstrings."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

_OTHER = {".venv", ".git", "dist", "build-data"}  # of the top level: nothing there is written by hand
_TEXT = {"", ".py", ".md", ".yaml", ".toml", ".example", ".dockerignore"}
_RUN = re.compile(r"""-m[\s"',]+((?:otel_tutor|tests|dashboards)[\w.]*)""")  # as words, and as a list of YAML or Python
_SERVED = re.compile(r"\b(otel_tutor(?:\.\w+)+):\w+")  # as uvicorn names an app


def texts(repository: Path) -> Iterator[Path]:
    for top in repository.iterdir():
        if top.name not in _OTHER and not top.name.endswith((".egg-info", "_cache")):
            yield from (path for path in [top, *top.rglob("*")] if path.is_file() and path.suffix in _TEXT)


def exists(module: str) -> bool:
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # not even its package
        return False
    if spec is not None and spec.submodule_search_locations is not None:  # a package runs its __main__
        return importlib.util.find_spec(f"{module}.__main__") is not None
    return spec is not None


def test_every_command_line_names_a_module_that_exists(repository: Path) -> None:
    named: dict[str, set[str]] = {}
    for path in texts(repository):
        for module in _RUN.findall(path.read_text(encoding="utf-8", errors="replace")):
            named.setdefault(module.rstrip("."), set()).add(str(path.relative_to(repository)))

    assert {"otel_tutor.tools.stack.pager", "otel_tutor.tools.exercise.load", "otel_tutor"} <= named.keys()
    assert {module: files for module, files in named.items() if not exists(module)} == {}


@pytest.mark.parametrize("file", ["compose.yaml", "otel_tutor/tools/stack/components.py", "README.md"])
def test_every_app_that_is_served_names_a_module_that_exists(repository: Path, file: str) -> None:
    modules = _SERVED.findall((repository / file).read_text(encoding="utf-8"))

    assert [module for module in modules if not exists(module)] == []
