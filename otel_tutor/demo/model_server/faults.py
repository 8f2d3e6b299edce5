"""Errors on request: the header `x-tutor-fault` says which, and the same request gets the same fault each time.

    500           an error of the server
    429-once      a rate limit, for the first of two requests with the same key
    slow=SECONDS  the answer begins so much later, and a stream waits so long before each of its pieces
    cut           the connection ends in the middle of the answer

Several are separated by commas. The key is the header `x-tutor-key`, or else the request's path and body.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from otel_tutor.demo.model_server.errors import BadRequestError

__all__ = ["FAULT_HEADER", "KEY_HEADER", "Faults", "RateLimits"]

FAULT_HEADER: Final = "x-tutor-fault"
KEY_HEADER: Final = "x-tutor-key"
_SLOWEST: Final = 600.0  # seconds; the longest that clients wait by default


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """The faults of one request. wait: in seconds."""

    fails: bool = False
    is_limited_once: bool = False
    is_cut: bool = False
    wait: float = 0.0

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Self:
        """What the headers ask for. Raises BadRequestError for a fault that is unknown."""
        names = [name.strip() for name in headers.get(FAULT_HEADER, "").split(",") if name.strip()]
        waits = [_seconds(name) for name in names if name.startswith("slow=")]
        if unknown := [name for name in names if name not in {"500", "429-once", "cut"} and not name.startswith("slow=")]:
            raise BadRequestError(f"{FAULT_HEADER}: {unknown[0]!r} is none of 500, 429-once, slow=SECONDS and cut")
        return cls(fails="500" in names, is_limited_once="429-once" in names, is_cut="cut" in names, wait=sum(waits))


class RateLimits:
    """Which requests were refused, so that their next attempt is served."""

    def __init__(self) -> None:
        self._refused: Final[set[str]] = set()

    def refuse(self, headers: Mapping[str, str], path: str, body: bytes) -> bool:
        """Whether to refuse this attempt: the first, the third and so on of one key."""
        key = headers.get(KEY_HEADER) or hashlib.sha256(path.encode() + body).hexdigest()
        if key in self._refused:
            self._refused.remove(key)
            return False
        self._refused.add(key)
        return True


def _seconds(name: str) -> float:
    try:
        seconds = float(name.removeprefix("slow="))
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= _SLOWEST:
        raise BadRequestError(f"{FAULT_HEADER}: {name!r} is no time; give seconds from 0 to {_SLOWEST:.0f}, e.g. slow=0.5")
    return seconds
