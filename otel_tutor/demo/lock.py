"""A lock that at most one process holds, on every system: an exclusive SQLite transaction, which dies with its holder."""

import sqlite3
from pathlib import Path

__all__ = ["ProcessLock"]


class ProcessLock:
    """A lock named by a file; `acquire` takes it, `release` or the end of the process gives it up."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def acquire(self, wait_seconds: float = 0.0) -> bool:
        """Whether this object holds the lock now, after waiting at most that long for another to release it."""
        if self._connection is not None:
            return True
        connection = sqlite3.connect(self._path, timeout=wait_seconds, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            connection.close()
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            return False
        self._connection = connection
        return True

    def release(self) -> None:
        """Give the lock up; without holding it, nothing."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
