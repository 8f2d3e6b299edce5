"""Programs that run an app's work in processes of their own: the environment they are in, and what of it arrives."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.environments import environment
from tests.support.receiver import Receiver, receiver

PACKAGES = (
    "apscheduler",
    "celery",
    "granian",
    "gunicorn",
    "hypercorn",
    "ipykernel",
    "nbclient",
    "redis",
    "rq",
    "trio",
    "uvicorn",
)


@pytest.fixture(scope="session")
def python() -> Path:
    return environment("servers", *PACKAGES)


@pytest.fixture
def arrived() -> Iterator[Receiver]:
    with receiver() as running:
        yield running
