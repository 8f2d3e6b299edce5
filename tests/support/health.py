"""Health checks that several tests register."""

import threading
from typing import Any

from otel_tutor.health import HealthStatus, SyncHealthCheck


class Hanging(SyncHealthCheck):
    """Blocks its thread until the test is over."""

    def __init__(self, released: threading.Event, **options: Any) -> None:
        super().__init__("hanging", **options)
        self.released = released

    def check_sync(self) -> dict[str, Any]:
        """Wait for the end of the test."""
        self.released.wait()
        return {"status": HealthStatus.HEALTHY}
