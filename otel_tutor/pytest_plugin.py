"""The fixture `captured`, for the tests of every project that installs the package; pytest finds it by its entry point."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from otel_tutor.testing import Capture

__all__ = ["captured", "captured_session"]


@pytest.fixture(scope="session")
def captured_session() -> "Capture":
    """Global providers can be set once in a process, so all tests share one capture."""
    from otel_tutor.testing import capture

    return capture()


@pytest.fixture
def captured(captured_session: "Capture") -> "Capture":
    """Telemetry of this test alone, kept in memory; ids count from 1."""
    captured_session.reset()
    return captured_session
