"""The sync outbox: what happened is queued where it happened and moved to the school's central database later."""

import dataclasses
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, delete, func, select
from sqlalchemy.orm import Session

from otel_tutor.demo.faults import FULL_OUTBOX, Faults
from otel_tutor.demo.store import AnswerRow, OutboxRow, QuestionRow, SessionRow, new_id, writing
from otel_tutor.monitoring import metrics_collector

__all__ = ["CentralError", "Drained", "Outbox", "queue"]

_BATCH: Final = 200  # rows; small enough that no writer waits long for the lock
_CENTRAL_TABLE: Final = "CREATE TABLE IF NOT EXISTS records (id TEXT PRIMARY KEY, record_type TEXT, payload TEXT)"


class CentralError(Exception):
    """The central database takes no records; they stay queued."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """What one drain moved, by record type, how many records are queued still, and how long it took in seconds."""

    records: Mapping[str, int]
    remaining: int
    seconds: float


def queue(session: Session, record_type: str, row: QuestionRow | AnswerRow | SessionRow, copies: int = 1) -> None:
    """Queue a row for the central database, in the transaction of `session`: both are kept or neither."""
    payload = json.dumps(dataclasses.asdict(row))
    session.add_all(OutboxRow(id=new_id(), record_type=record_type, payload=payload) for _ in range(copies))


class Outbox:
    """Moves queued records to the central database; several processes may do so at once."""

    def __init__(self, engine: Engine, central: Path, faults: Faults) -> None:
        self._engine = engine
        self._central = central
        self._faults = faults

    def size(self) -> int:
        """How many records are queued."""
        with Session(self._engine) as session:
            return session.scalar(select(func.count()).select_from(OutboxRow)) or 0

    def drain(self) -> Drained:
        """Move the records that are queued now, in batches. Raises CentralError when the central database refuses them.

        A record counts once, for the process that takes it off the queue, even when two send it or one is cut off between
        sending and taking off: the central database knows it by its id.
        """
        started, status = time.perf_counter(), "error"
        moved: Counter[str] = Counter()
        try:
            last = self._last_position()  # what is queued meanwhile waits for the next drain, so that this one ends
            while batch := self._next_batch(last):
                self._send(batch)
                moved.update(self._take_off(row.position for row in batch))
            status = "success"
        finally:
            seconds = time.perf_counter() - started
            metrics_collector.track_sync(seconds, status, moved)
        return Drained(records=dict(moved), remaining=self.size(), seconds=seconds)

    def _last_position(self) -> int:
        with Session(self._engine) as session:
            return session.scalar(select(func.max(OutboxRow.position))) or 0

    def _next_batch(self, last: int) -> Sequence[OutboxRow]:
        statement = select(OutboxRow).where(OutboxRow.position <= last).order_by(OutboxRow.position).limit(_BATCH)
        with Session(self._engine) as session:
            return session.scalars(statement).all()

    def _send(self, batch: Iterable[OutboxRow]) -> None:
        # The fault takes away the right to write; the refusal is SQLite's own.
        mode = "ro" if self._faults.is_on(FULL_OUTBOX) else "rwc"
        rows = [(row.id, row.record_type, row.payload) for row in batch]
        try:
            with closing(sqlite3.connect(f"{self._central.absolute().as_uri()}?mode={mode}", uri=True)) as central, central:
                central.execute(_CENTRAL_TABLE)
                central.executemany("INSERT OR IGNORE INTO records VALUES (?, ?, ?)", rows)
        except sqlite3.OperationalError as error:
            raise CentralError(f"the central database refuses records: {error}") from error

    def _take_off(self, positions: Iterable[int]) -> Sequence[str]:
        statement = delete(OutboxRow).where(OutboxRow.position.in_(list(positions))).returning(OutboxRow.record_type)
        with writing(self._engine) as session:
            return session.scalars(statement).all()
