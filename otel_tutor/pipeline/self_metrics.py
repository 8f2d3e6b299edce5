"""The SDK's metrics about itself: what it exported and what it lost, without those that would cost on every span."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["counts_every_span", "sdk_self_metrics"]

_VARIABLE: Final = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"


@contextmanager
def sdk_self_metrics() -> Iterator[None]:
    """Exporters and processors made inside count what they send, what fails and what is dropped (`otel.sdk.*`).

    The SDK reads its switch where each component is made. A tracer made outside does not count spans as they start and end,
    three SDK calls each. A value that is set already is left as it is.
    """
    if _VARIABLE in os.environ:
        yield
        return
    os.environ[_VARIABLE] = "true"
    try:
        yield
    finally:
        del os.environ[_VARIABLE]


def counts_every_span() -> bool:
    """Whether the environment has the SDK count spans as they start and end."""
    return os.environ.get(_VARIABLE, "").strip().lower() == "true"
