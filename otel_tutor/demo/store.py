"""The tutor's database: its tables, its engine, and its first filling from the corpus."""

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
from filelock import FileLock, Timeout
from sqlalchemy import Engine, Index, create_engine, delete, event, select, text
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, Session, mapped_column
from sqlalchemy.pool import ConnectionPoolEntry

from otel_tutor.demo.corpus import read_passages
from otel_tutor.demo.embedding import EmbeddingModel

__all__ = [
    "AnswerRow",
    "ModelRow",
    "OutboxRow",
    "PassageRow",
    "QuestionRow",
    "SessionRow",
    "load_model",
    "new_id",
    "open_engine",
    "prepare",
    "writing",
]

_VERSION: Final = 1  # of the tables and the corpus in them, kept in SQLite's user_version
_BUSY_SECONDS: Final = 5.0
_PREPARE_SECONDS: Final = 120.0

_write_lock: Final = threading.Lock()


def new_id() -> str:
    """A fresh identifier: 32 hexadecimal digits."""
    return uuid.uuid4().hex


class _Base(MappedAsDataclass, DeclarativeBase):
    """Rows are dataclasses: every column that has no default is an argument. Times are seconds since the epoch."""


class PassageRow(_Base, kw_only=True):
    """A passage and its embedding as float32."""

    __tablename__ = "passages"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    subject: Mapped[str]
    topic: Mapped[str]
    text: Mapped[str]
    vector: Mapped[bytes]


class ModelRow(_Base, kw_only=True):
    """The embedding model that made the vectors of the passages."""

    __tablename__ = "models"

    name: Mapped[str] = mapped_column(primary_key=True)
    vocabulary: Mapped[str]
    weights: Mapped[bytes]
    projection: Mapped[bytes]
    scale: Mapped[bytes]


class SessionRow(_Base, kw_only=True):
    """A student's session; open while `ended_at` is null."""

    __tablename__ = "sessions"
    __table_args__ = (Index("open_sessions", "ended_at"),)

    id: Mapped[str] = mapped_column(primary_key=True, default_factory=new_id)
    opened_at: Mapped[float] = mapped_column(default_factory=time.time)
    ended_at: Mapped[float | None] = mapped_column(default=None)


class QuestionRow(_Base, kw_only=True):
    """A question that was answered. This is the tutor's own database: the text stays here and in the central one."""

    __tablename__ = "questions"

    id: Mapped[str] = mapped_column(primary_key=True, default_factory=new_id)
    session: Mapped[str | None]
    subject: Mapped[str]
    topic: Mapped[str]
    question: Mapped[str]
    answer: Mapped[str]
    asked_at: Mapped[float] = mapped_column(default_factory=time.time)


class AnswerRow(_Base, kw_only=True):
    """A student's answer to a practice item."""

    __tablename__ = "practice_answers"

    id: Mapped[str] = mapped_column(primary_key=True, default_factory=new_id)
    session: Mapped[str | None]
    subject: Mapped[str]
    item: Mapped[int]
    answer: Mapped[str]
    correct: Mapped[bool]
    answered_at: Mapped[float] = mapped_column(default_factory=time.time)


class OutboxRow(_Base, kw_only=True):
    """A record on its way to the central database."""

    __tablename__ = "outbox"
    # Without it SQLite would give a position again once its row is gone, and two drains at once could lose the new one.
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - SQLAlchemy wants a dict

    position: Mapped[int] = mapped_column(primary_key=True, init=False)
    id: Mapped[str]
    record_type: Mapped[str]
    payload: Mapped[str]


def open_engine(path: Path) -> Engine:
    """An engine on this file. Writers take their lock at the start of a transaction and wait for it, readers never."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        # With a deferred lock, a transaction that reads before it writes could fail at once instead of waiting.
        connect_args={"isolation_level": "IMMEDIATE", "timeout": _BUSY_SECONDS},
        hide_parameters=True,  # an error message of SQLAlchemy would otherwise quote the question
        pool_size=5,
        max_overflow=5,
    )
    event.listen(engine, "connect", _configure_connection)
    return engine


def prepare(path: Path) -> None:
    """Make the database at `path`, with the corpus and a model trained on it, unless it is there already.

    Several processes may call it at the same moment: one does the work and the others wait for it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_suffix(".lock"))
    try:
        lock.acquire(timeout=_PREPARE_SECONDS)
    except Timeout:
        raise TimeoutError(f"{path}: another process has been preparing it for {_PREPARE_SECONDS:.0f} s") from None
    engine = open_engine(path)
    try:
        with Session(engine) as session:
            version = session.scalar(text("PRAGMA user_version"))
        if version != _VERSION:
            with engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            _Base.metadata.create_all(engine)
            _fill(engine)
    finally:
        engine.dispose()
        lock.release()


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """A session in a transaction that writes, committed at the end of the block, rolled back by an exception.

    In one process there is one at a time: SQLite has one writer anyway, and waits for its turn in sleeps, without order.
    """
    with _write_lock, Session(engine) as session, session.begin():
        yield session


def load_model(session: Session) -> EmbeddingModel:
    """The model that `prepare` trained."""
    row = session.scalars(select(ModelRow)).one()
    return EmbeddingModel.from_bytes(row.vocabulary, row.weights, row.projection, row.scale)


def _configure_connection(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=NORMAL")  # with WAL: durable at every checkpoint, consistent always
    cursor.close()


def _fill(engine: Engine) -> None:
    passages = read_passages()
    texts = [f"{passage.topic.replace('_', ' ')}. {passage.text}" for passage in passages]
    model = EmbeddingModel.train(texts)
    vocabulary, weights, projection, scale = model.to_bytes()
    with writing(engine) as session:
        session.execute(delete(PassageRow))  # also begins the transaction that the statements below belong to
        session.execute(delete(ModelRow))
        session.add(ModelRow(name=model.name, vocabulary=vocabulary, weights=weights, projection=projection, scale=scale))
        for passage, vector in zip(passages, model.embed_all(texts), strict=True):
            blob = vector.astype(np.float32).tobytes()
            session.add(PassageRow(subject=passage.subject, topic=passage.topic, text=passage.text, vector=blob))
        session.flush()
        session.execute(text("DROP TABLE IF EXISTS passage_words"))
        session.execute(
            text(
                "CREATE VIRTUAL TABLE passage_words"
                " USING fts5(topic, text, content='passages', content_rowid='id', tokenize='porter unicode61')"
            )
        )
        session.execute(text("INSERT INTO passage_words(passage_words) VALUES('rebuild')"))
        session.execute(text(f"PRAGMA user_version={_VERSION}"))
