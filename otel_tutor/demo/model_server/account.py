"""What the server has served, counted by itself: tests and bills are held against it."""

import sqlite3
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

__all__ = ["ABANDONED", "CHAT", "CUT", "EMBEDDINGS", "Account"]

CHAT: Final = "chat"
EMBEDDINGS: Final = "embeddings"
CUT: Final = "cut"  # the status of a response that the server ended early
ABANDONED: Final = "abandoned"  # the status of a request whose client went away before the end

_BUSY_SECONDS: Final = 10.0  # for the other servers of the same file; a write takes less than a millisecond
_TABLES: Final = """
    BEGIN IMMEDIATE;
    CREATE TABLE IF NOT EXISTS calls (
        kind TEXT, model TEXT, status TEXT, count INTEGER, PRIMARY KEY (kind, model, status)
    );
    CREATE TABLE IF NOT EXISTS tokens (
        kind TEXT, model TEXT, type TEXT, count INTEGER, PRIMARY KEY (kind, model, type)
    );
    COMMIT;
"""
_ADD: Final = "INSERT INTO {table} VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count"


class Account:
    """Calls and tokens, in memory, or in a file that several servers may share; safe to use from many threads."""

    def __init__(self, file: Path | None = None) -> None:
        self._lock: Final = threading.Lock()
        self._connection: Final = sqlite3.connect(
            ":memory:" if file is None else file, timeout=_BUSY_SECONDS, check_same_thread=False
        )
        self._connection.execute("PRAGMA synchronous=OFF")  # it may lose the last calls if the machine itself fails
        self._connection.executescript(_TABLES)

    def add(self, kind: str, model: str, status: str, tokens: Mapping[str, int]) -> None:
        """Count one call. kind: CHAT or EMBEDDINGS. status: that of HTTP, CUT or ABANDONED. tokens: by type."""
        with self._lock, self._connection:
            self._connection.execute(_ADD.format(table="calls"), (kind, model, status, 1))
            for name, count in tokens.items():
                self._connection.execute(_ADD.format(table="tokens"), (kind, model, name, count))

    def read(self) -> dict[str, list[dict[str, object]]]:
        """Two tables: calls by kind, model and status; tokens by kind, model and type."""
        with self._lock:
            return {"calls": self._rows("calls", "status"), "tokens": self._rows("tokens", "type")}

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _rows(self, table: str, column: str) -> list[dict[str, object]]:
        statement = f"SELECT kind, model, {column}, count FROM {table} WHERE count > 0 ORDER BY kind, model, {column}"
        names = ("kind", "model", column, "count")
        return [dict(zip(names, row, strict=True)) for row in self._connection.execute(statement)]
