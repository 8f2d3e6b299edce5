"""The model server with its account, and environments with the real clients and the libraries that trace them."""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otel_tutor.demo.model_server import Account, Library, serving_model
from tests.support.environments import environment
from tests.support.receiver import Receiver, receiver

PACKAGES: dict[str, tuple[str, ...]] = {
    "by hand": (),
    "opentelemetry": (),  # those of the extra `models`
    "openllmetry": ("opentelemetry-instrumentation-openai", "opentelemetry-instrumentation-anthropic"),
    "openinference": ("openinference-instrumentation-openai", "openinference-instrumentation-anthropic"),
    "openlit": ("openlit",),
    "several": (
        "opentelemetry-instrumentation-openai",
        "opentelemetry-instrumentation-anthropic",
        "openinference-instrumentation-openai",
        "openinference-instrumentation-anthropic",
    ),
}


@pytest.fixture(scope="session")
def python() -> Callable[[str], Path]:
    """The interpreter with these libraries, the newest of each, beside otel_tutor and the clients."""
    clients = ("openai", "anthropic", "langchain", "langchain-openai")

    def make(name: str) -> Path:
        extras = "http,models" if name in {"opentelemetry", "several"} else "http"
        return environment(f"models-{name.replace(' ', '-')}", *clients, *PACKAGES[name], extras=extras)

    return functools.cache(make)


@pytest.fixture(scope="session")
def texts() -> Library:
    return Library.train()


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def model(texts: Library, account: Account) -> Iterator[str]:
    with serving_model(texts, account) as address:
        yield address


@pytest.fixture
def arrived() -> Iterator[Receiver]:
    with receiver() as running:
        yield running
