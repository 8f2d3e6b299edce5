"""A forked child as a process of its own: no counts of its parent's, a name of its own, connections of its own.

opentelemetry-sdk 1.45 restarts its threads in a child, but the child goes on with the parent's counts, under a new random
instance id, so that each is counted once per process; and locks that another thread of the parent held stay locked for ever.
What is put right here touches private parts of the SDK; `tests/stack/test_fork.py` tells when they change.
"""

import os
import threading
from collections.abc import Callable
from typing import Any

from opentelemetry.sdk.resources import Resource

from otel_tutor.pipeline.fast import forget_aggregations
from otel_tutor.pipeline.providers import Providers

__all__ = ["renew_after_fork"]


def renew_after_fork(providers: Providers, make_resource: Callable[[], Resource]) -> None:
    """Have every child that is forked from now on start over; nothing where the system does not fork."""
    if hasattr(os, "register_at_fork"):
        # Registered after the SDK's own handlers, it runs after them.
        os.register_at_fork(after_in_child=lambda: _renew(providers, make_resource()))


def _renew(providers: Providers, resource: Resource) -> None:
    consumer: Any = providers.meter._measurement_consumer
    consumer._lock = threading.Lock()
    for reader, storage in consumer._reader_storages.items():
        storage._lock = threading.RLock()
        storage._instrument_view_instrument_matches = {}
        reader._export_lock = threading.Lock()
    forget_aggregations()
    provider: Any
    for provider in (providers.meter, providers.tracer, providers.logger):
        provider._update_resource(resource)
    for exporter in (providers.exporters.spans, providers.exporters.metrics, providers.exporters.logs):
        if reconnect := getattr(exporter, "_initialize_channel_and_stub", None):
            reconnect()
    providers.prepare_shutdown()
