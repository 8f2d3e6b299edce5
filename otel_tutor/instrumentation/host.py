"""The host that a process runs on: processors, memory and disks, measured when they are exported.

Every worker reports the same host, under its own instance: take one of them, as in `max by (job) (...)`, never the sum.
"""

from collections.abc import Iterable
from typing import Final

import psutil

from otel_tutor import catalogue
from otel_tutor.recording.instruments import Labels, observe

__all__ = ["Host"]

DISK_PATHS: Final = ("/",)


class Host:
    """The last measurement of the host."""

    def __init__(self, disk_paths: Iterable[str] = DISK_PATHS) -> None:
        self._disk_paths = tuple(disk_paths)
        self._cpu_percent = 0.0

    def measure(self) -> None:
        """Take the share of the processors that was in use since the measurement before; the rest needs no history."""
        self._cpu_percent = psutil.cpu_percent(interval=None)

    def start_observing(self) -> None:
        """Have the host measured at every export."""
        psutil.cpu_percent(interval=None)  # the first call has nothing to compare with and answers 0
        observe(catalogue.SYSTEM_CPU, self._read_cpu)
        observe(catalogue.SYSTEM_MEMORY, self._read_memory)
        observe(catalogue.SYSTEM_DISK, self._read_disks)
        observe(catalogue.SYSTEM_DISK_LIMIT, self._read_disk_limits)

    def _read_cpu(self) -> Iterable[tuple[float, Labels]]:
        self.measure()
        yield self._cpu_percent, {}

    def _read_memory(self) -> Iterable[tuple[float, Labels]]:
        memory = psutil.virtual_memory()
        # Not psutil's `used`, which leaves out what the kernel will not give back.
        yield memory.total - memory.available, {}

    def _read_disks(self) -> Iterable[tuple[float, Labels]]:
        for path in self._disk_paths:
            yield psutil.disk_usage(path).used, {catalogue.DISK_PATH.key: path}

    def _read_disk_limits(self) -> Iterable[tuple[float, Labels]]:
        for path in self._disk_paths:
            usage = psutil.disk_usage(path)
            # Not the total, of which the file system keeps a part for root: full is when nothing is free.
            yield usage.used + usage.free, {catalogue.DISK_PATH.key: path}
