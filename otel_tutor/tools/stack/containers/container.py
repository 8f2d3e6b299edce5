"""One container of a compose project, as the engine's `inspect` shows it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

__all__ = ["GONE", "Container"]

_RESTARTS: Final = 3
_JUST_NOW_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class Container:
    """A container, running or not."""

    inspected: Mapping[str, Any]

    @property
    def id(self) -> str:
        """What the engine knows it by."""
        return str(self.inspected["Id"])

    @property
    def name(self) -> str:
        """What people know it by."""
        return str(self.inspected["Name"]).removeprefix("/")

    @property
    def service(self) -> str:
        """The service of compose.yaml that it is made from."""
        return str(self.inspected["Config"]["Labels"]["com.docker.compose.service"])

    @property
    def version(self) -> str:
        """The tag of its image."""
        return str(self.inspected["Config"]["Image"]).rpartition(":")[2].removeprefix("v")

    @property
    def state(self) -> str:
        """As the engine calls it: created, running, exited, ..."""
        return str(self.inspected["State"]["Status"])

    @property
    def pid(self) -> int | None:
        """The process that it runs, on this machine."""
        return int(self.inspected["State"]["Pid"]) or None

    @property
    def is_running(self) -> bool:
        """Whether its process runs."""
        return self.state == "running"

    @property
    def is_done(self) -> bool:
        """Whether its process ended with success, as that of a service that runs once does."""
        return self.state == "exited" and self.inspected["State"]["ExitCode"] == 0

    @property
    def uptime(self) -> float:
        """Seconds since it was last started; 0 where it does not run."""
        if not self.is_running:
            return 0.0
        return time.time() - datetime.fromisoformat(self.inspected["State"]["StartedAt"]).timestamp()

    @property
    def is_crashing(self) -> bool:
        """Whether it was started several times, and just now."""
        return self.inspected["RestartCount"] >= _RESTARTS and self.uptime < _JUST_NOW_SECONDS


GONE: Final = Container({"State": {"Status": "gone", "Pid": 0}, "Name": "", "Config": {"Image": ""}})
