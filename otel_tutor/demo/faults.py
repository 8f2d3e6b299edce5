"""Faults that can be switched on while the tutor runs: each is on, in every worker process, while its file exists."""

import sqlite3
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

__all__ = [
    "DEAD_DATABASE",
    "EXTRA_OUTBOX_ROWS",
    "FAILING_GENERATION",
    "FAULTS",
    "FULL_OUTBOX",
    "SLOW_RETRIEVAL",
    "SLOW_RETRIEVAL_SECONDS",
    "Faults",
    "kill_database_while_on",
]

SLOW_RETRIEVAL: Final = "slow_retrieval"
FAILING_GENERATION: Final = "failing_generation"
FULL_OUTBOX: Final = "full_outbox"
DEAD_DATABASE: Final = "dead_database"
FAULTS: Final = (SLOW_RETRIEVAL, FAILING_GENERATION, FULL_OUTBOX, DEAD_DATABASE)

SLOW_RETRIEVAL_SECONDS: Final = 0.8
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
        if on:
            self._directory.mkdir(parents=True, exist_ok=True)
            file.touch()
        else:
            file.unlink(missing_ok=True)

    def states(self) -> dict[str, bool]:
        """Every fault and whether it is on now."""
        return {name: self.is_on(name) for name in FAULTS}

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
