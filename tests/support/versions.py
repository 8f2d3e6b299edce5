"""Which OpenTelemetry is installed, for the few tests that depend on it."""

from importlib.metadata import version
from typing import Final

SDK: Final = tuple(int(number) for number in version("opentelemetry-sdk").split(".")[:3])
