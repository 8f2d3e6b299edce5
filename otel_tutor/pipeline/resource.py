"""The service and, within it, this very process.

`service.instance.id` must differ between live processes, or two of them overwrite each other's counters in Prometheus
without a word; and it should survive a restart, or every restart leaves ghosts that double each gauge until they expire.
So a process leases the lowest free number of its service on this host, by a file lock that the kernel releases when the
process dies, and the next process takes that number over. The number of one that ended in order is left alone for a while:
Prometheus has to read the last values before others take their place.
"""

import contextlib
import hashlib
import logging
import socket
import time
from pathlib import Path
from typing import Final
from uuid import uuid4

from filelock import FileLock, Timeout
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, Resource

from otel_tutor.errors import ConfigurationError
from otel_tutor.pipeline.values import valid_attributes, valid_text
from otel_tutor.recording.state import state
from otel_tutor.settings import Settings, data_folder

__all__ = ["end_lease", "make_resource"]

_log: Final = logging.getLogger("otel_tutor")

_MOST_PROCESSES: Final = 1024  # of one service on one host
_REST: Final = 15.0  # seconds: Prometheus reads every 5 s in this stack


def make_resource(settings: Settings) -> Resource:
    """The resource of this process: `OTEL_RESOURCE_ATTRIBUTES` and the service, then its instance."""
    from otel_tutor import __version__

    base = Resource.create({"telemetry.distro.name": "otel_tutor", "telemetry.distro.version": __version__})
    service_name = valid_text(settings.service_name, settings.value_limit)
    number, resting = _lease(service_name)
    state.predecessors = {_instance(settings, other): end for other, end in resting.items()}
    instance = str(uuid4()) if number is None else _instance(settings, number)
    resource = base.merge(Resource({SERVICE_NAME: service_name, SERVICE_INSTANCE_ID: instance}))
    # It goes with every batch: a value that cannot be encoded would be missing from all of them.
    return Resource(valid_attributes(resource.attributes, settings.value_limit) or {}, resource.schema_url)


def _instance(settings: Settings, number: int) -> str:
    if settings.instance_id:
        return settings.instance_id if number == 0 else f"{settings.instance_id}-{number}"
    return f"{socket.gethostname()}-{number}"


def end_lease() -> None:
    """Note that this process has sent its last values under its number."""
    if state.lease is not None and state.lease.is_locked:
        with contextlib.suppress(OSError):
            _ended(Path(state.lease.lock_file)).touch()


def _ended(lock: Path) -> Path:
    return lock.with_suffix(".ended")


def _rest(lock: Path) -> float:
    """For how many seconds more a number is left alone: its last holder ended just now."""
    try:
        rest = _ended(lock).stat().st_mtime + _REST - time.time()
    except FileNotFoundError:  # there was none, or it was killed: what it sent last was read before another sends
        return 0.0
    return rest if rest <= _REST else 0.0  # the clock went back


def _lease(service_name: str) -> tuple[int | None, dict[int, float]]:
    """The lowest number that no live process of this service holds, or None where no lock file can be kept.

    With it, the numbers that are left alone, and until when by the monotonic clock. In a forked child the lock of its
    parent stays the parent's: filelock closes the child's copy of it.
    """
    resting: dict[int, float] = {}
    try:
        folder = data_folder() / "instances" / hashlib.sha256(service_name.encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(_MOST_PROCESSES):
            # Without the fallback to a file that outlives its process, and for the process, not for this thread.
            path = folder / str(number)
            lock = FileLock(path, thread_local=False, fallback_to_soft=False)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            if (rest := _rest(path)) > 0:
                lock.release()
                resting[number] = time.monotonic() + rest
                continue
            _ended(path).unlink(missing_ok=True)
            state.lease = lock
            return number, resting
    except (OSError, NotImplementedError, ConfigurationError) as error:
        _log_no_lease(error)
    return None, resting


def _log_no_lease(error: Exception) -> None:
    """Log it once, and not again in each forked child."""
    if not state.logged_no_lease:
        state.logged_no_lease = True
        message = (
            "service.instance.id is random, and each restart begins new series; set OTEL_TUTOR_DATA to a folder for locks"
        )
        _log.warning("%s (%s)", message, error)
