"""A tutor's files, prepared once and copied for each test."""

import shutil
from pathlib import Path

import pytest

from otel_tutor.demo.settings import Settings
from otel_tutor.demo.store import prepare


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("tutor")
    prepare(Settings(data=data).database)
    return data


@pytest.fixture
def settings(prepared: Path, tmp_path: Path) -> Settings:
    return Settings(data=Path(shutil.copytree(prepared, tmp_path / "data")))
