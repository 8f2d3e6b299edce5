"""What every test may use."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_tutor.recording.state import state
from otel_tutor.settings import shipped_config_dir
from otel_tutor.testing import Capture
from otel_tutor.tools.stack.files import cache_folder
from otel_tutor.tools.stack.native.build import Binaries, available
from tests.support.receiver import Receiver, receiver

_RINGS = {"processes", "stack", "containers", "grafana", "guests", "models", "servers"}

# Two test processes that each start a thread for every processor wait for each other; numpy reads this as it is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

pytest_plugins = [
    "pytester",
    "tests.support.command",
    "tests.support.collector",
    "tests.support.stack",
    "tests.support.tutor",
]


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


@pytest.fixture(autouse=True)
def settings_of_one_test() -> Iterator[None]:
    """What a test configures in this process ends with it."""
    before = state.settings
    yield
    state.settings = before or state.settings


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_works() -> None:
    """A job in the background is started with Ctrl-C ignored, and so would be every program it starts in a test."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Name the ring of each test that does not name it: the fixtures it uses say what it starts."""
    for item in items:
        if not _RINGS & {mark.name for mark in item.iter_markers()}:
            fixtures = set(getattr(item, "fixturenames", ()))
            starts_processes = pytest.mark.processes if {"command", "pytester"} & fixtures else pytest.mark.memory
            item.add_marker(pytest.mark.stack if "binaries" in fixtures else starts_processes)


@pytest.fixture(scope="session")
def binaries() -> Binaries:
    """Every component, from PATH or the cache. A test never builds: that takes minutes."""
    found, missing = available(shipped_config_dir(), cache_folder())
    if missing:
        names = ", ".join(component.name for component in missing)
        pytest.fail(f"{names}: not built; build with: {sys.executable} -m otel_tutor build", pytrace=False)
    return found


@pytest.fixture
def repository() -> Path:
    return Path(__file__).parent.parent


@pytest.fixture(scope="module")
def server() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
def received(server: Receiver, captured: Capture) -> Receiver:
    """The receiver, without what it got before."""
    server.clear()
    return server
