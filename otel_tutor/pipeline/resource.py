"""Who is speaking: the service and, within it, this very process.

`service.instance.id` must differ between live processes, or two of them overwrite each other's counters in Prometheus
without a word; and it should survive a restart, or every restart leaves ghosts that double each gauge until they expire.
So a process leases the lowest free number of its service on this host, by a file lock that the kernel lets go of when the
process dies, and the next process takes that number over.
"""

import fcntl
import hashlib
import os
import socket
from typing import Final
from uuid import uuid4

from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, Resource

from otel_tutor.settings import Settings, data_folder

__all__ = ["make_resource"]

_MOST_PROCESSES: Final = 1024  # of one service on one host
_leases: Final[list[int]] = []  # file descriptors, open while the process lives


def make_resource(settings: Settings) -> Resource:
    """The resource of this process: `OTEL_RESOURCE_ATTRIBUTES` and the service, then its instance."""
    from otel_tutor import __version__

    while _leases:  # a forked child holds its parent's, which stays the parent's
        os.close(_leases.pop())
    base = Resource.create({"telemetry.distro.name": "otel_tutor", "telemetry.distro.version": __version__})
    wished = _wished_instance()
    number = _lease(settings.service_name)
    if number is None:
        instance = str(uuid4())
    elif wished:
        instance = wished if number == 0 else f"{wished}-{number}"
    else:
        instance = f"{socket.gethostname()}-{number}"
    return base.merge(Resource({SERVICE_NAME: settings.service_name, SERVICE_INSTANCE_ID: instance}))


def _wished_instance() -> str | None:
    pairs = (pair.partition("=") for pair in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","))
    return next((value.strip() for key, _, value in pairs if key.strip() == SERVICE_INSTANCE_ID), None)


def _lease(service_name: str) -> int | None:
    """The lowest number no live process of this service holds, or None where no lock file can be kept."""
    folder = data_folder() / "instances" / hashlib.sha256(service_name.encode()).hexdigest()[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(_MOST_PROCESSES):
            lock = os.open(folder / str(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                continue
            _leases.append(lock)
            return number
    except OSError:
        return None
    return None
