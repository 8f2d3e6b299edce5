"""Student sessions, and how many are open, over all worker processes."""

import sqlite3
import time
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy import Engine, update

from otel_tutor.demo.outbox import queue
from otel_tutor.demo.store import SessionRow, writing

__all__ = ["Reporter", "Sessions"]


class Sessions:
    """Opens and ends sessions; one may be ended by another worker than the one that opened it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def open(self) -> str:
        """Open a session and return its identifier."""
        row = SessionRow()
        with writing(self._engine) as database:
            queue(database, "session", row)
            database.add(row)
            return row.id

    def end(self, session_id: str) -> bool:
        """End a session; False when there is no open one of that identifier."""
        statement = (
            update(SessionRow)
            .where(SessionRow.id == session_id, SessionRow.ended_at.is_(None))
            .values(ended_at=time.time())
            .returning(SessionRow)
        )
        with writing(self._engine) as database:
            row = database.scalars(statement).one_or_none()
            if row is not None:
                queue(database, "session", row)
            return row is not None


class Reporter:
    """What is true of all workers together and reported by one of them.

    The worker that holds a lock reports the database's counts and every other reports 0, so that the sum is exact whichever
    worker opens, ends, crashes or restarts.
    """

    def __init__(self, database: Path, lock: Path) -> None:
        # A connection of its own, unseen by telemetry: what is looked at every second would fill the traces with noise.
        self._connection = sqlite3.connect(database, check_same_thread=False)
        self._lock = FileLock(lock, thread_local=False)  # each export may come from another thread

    def open_sessions(self) -> int:
        """The number of open sessions if this worker is the one to report it, else 0."""
        return self._count("SELECT count(*) FROM sessions WHERE ended_at IS NULL")

    def queued_records(self) -> int:
        """The number of records in the outbox if this worker is the one to report it, else 0."""
        return self._count("SELECT count(*) FROM outbox")

    def close(self) -> None:
        """Leave the reporting to another worker."""
        self._connection.close()
        self._lock.release()

    def _count(self, statement: str) -> int:
        if not self._is_reporter():
            return 0
        row: tuple[int] = self._connection.execute(statement).fetchone()
        return row[0]

    def _is_reporter(self) -> bool:
        if not self._lock.is_locked:
            try:
                self._lock.acquire(blocking=False)
            except Timeout:
                return False
        return True
