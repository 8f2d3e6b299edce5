"""The tutor's database and its first filling."""

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from otel_tutor.demo.corpus import read_passages
from otel_tutor.demo.settings import Settings
from otel_tutor.demo.store import PassageRow, SessionRow, open_engine, prepare

PREPARE = "import sys, pathlib, otel_tutor.demo.store as store; store.prepare(pathlib.Path(sys.argv[1]))"


def count_passages(engine: Engine) -> int:
    with Session(engine) as session:
        return session.scalar(select(func.count()).select_from(PassageRow)) or 0


@pytest.mark.processes
def test_two_processes_that_prepare_at_the_same_moment_fill_it_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "tutor.db"
    started = [subprocess.Popen([sys.executable, "-c", PREPARE, str(path)]) for _ in range(2)]

    assert [process.wait(timeout=60) for process in started] == [0, 0]
    engine = open_engine(path)
    assert count_passages(engine) == len(read_passages())
    engine.dispose()


def test_preparing_again_keeps_what_was_written_since(settings: Settings, engine: Engine) -> None:
    with Session(engine) as session, session.begin():
        session.add(SessionRow())
    prepare(settings.database)

    with Session(engine) as session:
        assert session.scalar(select(func.count()).select_from(SessionRow)) == 1
    assert count_passages(engine) == len(read_passages())


def test_readers_and_writers_do_not_block_each_other(engine: Engine) -> None:
    with engine.connect() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(text("PRAGMA busy_timeout")) == 5000


def test_an_error_message_does_not_quote_what_a_student_wrote(engine: Engine) -> None:
    with Session(engine) as session, pytest.raises(OperationalError) as raised:
        session.execute(text("SELECT * FROM nowhere WHERE question = :question"), {"question": "my secret"})

    assert "my secret" not in str(raised.value)
