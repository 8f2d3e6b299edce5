"""A pipeline for each test, and the receiver at its end."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.resources import Resource

from otel_tutor.pipeline import Providers, make_exporters
from otel_tutor.settings import Settings
from tests.support.receiver import Receiver


@pytest.fixture
def environ() -> dict[str, str]:
    """Variables that the pipeline is made with; metrics are exported when they are flushed."""
    return {"OTEL_METRIC_EXPORT_INTERVAL": "3600000"}


@pytest.fixture
def telemetry(received: Receiver, environ: dict[str, str]) -> Iterator[Providers]:
    """A pipeline to the receiver."""
    settings = Settings.read(endpoint=received.address, environ=environ)
    providers = Providers.build(settings, make_exporters(settings), Resource.create({"service.name": "tutor"}))
    yield providers
    providers.shutdown(3)
