"""A tutor's files in a directory of its own, prepared once and copied for each test."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from otel_tutor.demo.app import create_app
from otel_tutor.demo.embedding import EmbeddingModel
from otel_tutor.demo.faults import Faults
from otel_tutor.demo.model_server import Library
from otel_tutor.demo.settings import Settings
from otel_tutor.demo.store import load_model, open_engine
from otel_tutor.testing import Capture


@pytest.fixture(scope="session")
def library() -> Library:
    return Library.train()


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    engine = open_engine(settings.database)
    yield engine
    engine.dispose()


@pytest.fixture
def model(engine: Engine) -> EmbeddingModel:
    with Session(engine) as session:
        return load_model(session)


@pytest.fixture
def faults(settings: Settings) -> Faults:
    return Faults(settings.faults)


@pytest.fixture
def client(settings: Settings, captured: Capture) -> Iterator[TestClient]:
    with TestClient(create_app(settings), client=("127.0.0.1", 50000)) as client:
        captured.clear()
        yield client
