"""What a data folder's stack was started with, kept beside its data."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from otel_tutor.errors import StackError
from otel_tutor.tools.stack.ports import Ports

__all__ = ["StackState"]


class StackState:
    """The file that is there while a stack is up, or was left by one that died."""

    def __init__(self, data: Path) -> None:
        self._path = data / "stack.json"

    def exists(self) -> bool:
        """Whether a stack was started and not stopped."""
        return self._path.is_file()

    def write(self, *, ports: Ports, overlays: Sequence[str], **more: Any) -> None:
        """Remember a start; `more` is anything that JSON can hold."""
        self._path.write_text(json.dumps({"ports": dict(ports), "overlays": list(overlays), **more}), encoding="utf-8")

    def remove(self) -> None:
        """Forget it."""
        self._path.unlink(missing_ok=True)

    def read(self) -> dict[str, Any]:
        """All of it. Raises StackError when no stack was started."""
        try:
            state: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise StackError("the stack is not running: start it with `otel-tutor up`") from None
        return state

    @property
    def ports(self) -> dict[str, int]:
        """The ports it was started with. Raises StackError when no stack was started."""
        return dict(self.read()["ports"])

    @property
    def overlays(self) -> list[str]:
        """The overlays it was started with. Raises StackError when no stack was started."""
        return list(self.read()["overlays"])
