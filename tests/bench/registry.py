"""A registry of prometheus_client as the sink of a trial."""

from collections.abc import Mapping
from typing import Any

__all__ = ["Registry"]


class Registry:
    """It counts by one sample, of one set of labels. Nothing of it is deferred."""

    def __init__(self, sample: str, labels: Mapping[str, str], registry: Any = None) -> None:
        from prometheus_client import CollectorRegistry

        self.registry = registry or CollectorRegistry()
        self._sample, self._labels = sample, dict(labels)
        self._before = 0.0

    def drain(self) -> None:
        """Do nothing."""

    def count(self, _: None) -> Mapping[str, float]:
        """The increase since the last call."""
        now = self.registry.get_sample_value(self._sample, self._labels) or 0.0
        number, self._before = now - self._before, now
        return {self._sample: number}
