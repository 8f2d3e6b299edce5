"""What every test may use."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from otel_tutor.tools.cli.progress import BuildDisplay
from otel_tutor.tools.stack.files import cache_folder, shipped
from otel_tutor.tools.stack.native.build import Binaries, provide

pytest_plugins = ["pytester"]


@pytest.fixture(scope="session", autouse=True)
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The machine's own OTEL_* settings and data folder stay out of the tests."""
    before = dict(os.environ)
    for name in list(os.environ):
        if name.startswith("OTEL_"):
            del os.environ[name]
    os.environ["OTEL_TUTOR_DATA"] = str(tmp_path_factory.mktemp("data"))
    os.environ["OTEL_TUTOR_MODE"] = "native"  # whatever engine the machine has; tests/compose is about the other one
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_works() -> None:
    """A job in the background is started with Ctrl-C ignored, and so would be every program it starts in a test."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def binaries() -> Binaries:
    """Every component, from PATH or the cache; `make test` has built what was missing."""
    with BuildDisplay(Console()) as display:
        return provide(shipped(), cache_folder(), display)


@pytest.fixture
def repository() -> Path:
    return Path(__file__).parent.parent
