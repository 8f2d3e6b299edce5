"""Faults that can be switched on while the tutor runs: each is on, in every worker process, while its file exists."""

import sqlite3
import time
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

__all__ = [
    "DEAD_DATABASE",
    "EXTRA_OUTBOX_ROWS",
    "FAILING_GENERATION",
    "FAULTS",
    "FREE_TEXT_TOPICS",
    "FULL_OUTBOX",
    "LEAKED_CONNECTIONS",
    "NEW_MODEL",
    "RATE_LIMITED",
    "SLOW_GENERATION",
    "SLOW_GENERATION_SECONDS",
    "SLOW_RETRIEVAL",
    "SLOW_RETRIEVAL_SECONDS",
    "STALLED_LOOP",
    "Faults",
    "Leak",
    "kill_database_while_on",
    "stall_one_worker_while_on",
]

SLOW_RETRIEVAL: Final = "slow_retrieval"
SLOW_GENERATION: Final = "slow_generation"
FAILING_GENERATION: Final = "failing_generation"
FULL_OUTBOX: Final = "full_outbox"
DEAD_DATABASE: Final = "dead_database"
LEAKED_CONNECTIONS: Final = "leaked_connections"
FREE_TEXT_TOPICS: Final = "free_text_topics"
STALLED_LOOP: Final = "stalled_loop"
NEW_MODEL: Final = "new_model"
RATE_LIMITED: Final = "rate_limited"
FAULTS: Final = (
    SLOW_RETRIEVAL,
    SLOW_GENERATION,
    FAILING_GENERATION,
    FULL_OUTBOX,
    DEAD_DATABASE,
    LEAKED_CONNECTIONS,
    FREE_TEXT_TOPICS,
    STALLED_LOOP,
    NEW_MODEL,
    RATE_LIMITED,
)

SLOW_RETRIEVAL_SECONDS: Final = 0.8
SLOW_GENERATION_SECONDS: Final = 11.0
EXTRA_OUTBOX_ROWS: Final = 50


class Faults:
    """The faults of the tutor whose files are in one directory; all are off until switched on."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def is_on(self, name: str) -> bool:
        """Whether the fault is on now, whichever process switched it. Raises ValueError for an unknown name."""
        return self._file(name).exists()

    def switch(self, name: str, on: bool) -> None:
        """Switch a fault on or off, for all worker processes. Raises ValueError for an unknown name."""
        file = self._file(name)
        self._claim(name).unlink(missing_ok=True)
        if on:
            self._directory.mkdir(parents=True, exist_ok=True)
            file.touch()
        else:
            file.unlink(missing_ok=True)

    def states(self) -> dict[str, bool]:
        """Every fault and whether it is on now."""
        return {name: self.is_on(name) for name in FAULTS}

    def claim(self, name: str) -> bool:
        """Whether the fault is on and this process is the first to ask, since it was switched on."""
        if not self.is_on(name):
            return False
        try:
            self._claim(name).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def _claim(self, name: str) -> Path:
        return self._file(name).with_suffix(".claimed")

    def _file(self, name: str) -> Path:
        if name not in FAULTS:
            raise ValueError(f"unknown fault {name!r}; the known ones are {', '.join(FAULTS)}")
        return self._directory / name


def kill_database_while_on(engine: Engine, faults: Faults) -> None:
    """While `dead_database` is on, drop the engine's connections and have new ones opened where no database can be."""
    missing = Path(str(engine.url.database)).parent / "no-such-directory" / "tutor.db"

    def on_checkout(_: DBAPIConnection, __: ConnectionPoolEntry, ___: object) -> None:
        if faults.is_on(DEAD_DATABASE):
            raise InvalidatePoolError(f"the fault {DEAD_DATABASE} is on")

    def on_connect(_: object, __: ConnectionPoolEntry, ___: object, ____: object) -> sqlite3.Connection | None:
        return sqlite3.connect(missing) if faults.is_on(DEAD_DATABASE) else None

    event.listen(engine, "checkout", on_checkout)
    event.listen(engine, "do_connect", on_connect)


class Leak:
    """Connections of a pool that nobody gives back while `leaked_connections` is on."""

    def __init__(self, engine: Engine, faults: Faults) -> None:
        self._engine = engine
        self._faults = faults
        self._held: list[Connection] = []

    def follow(self) -> None:
        """Take one more connection while the fault is on, as long as there is one; give all back once it is off."""
        if not self._faults.is_on(LEAKED_CONNECTIONS):
            while self._held:
                self._held.pop().close()
        elif len(self._held) < self._engine.pool.size() + self._engine.pool._max_overflow:  # type: ignore[attr-defined]
            self._held.append(self._engine.connect())


def stall_one_worker_while_on(faults: Faults) -> None:
    """Hold up the event loop that calls this while `stalled_loop` is on, if it is the first to come by."""
    if faults.claim(STALLED_LOOP):
        while faults.is_on(STALLED_LOOP):
            time.sleep(0.1)  # the fault: what an event loop must never do
