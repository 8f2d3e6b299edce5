"""The outbox: queued with what it describes, moved once."""

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from otel_tutor.demo.faults import FULL_OUTBOX, Faults
from otel_tutor.demo.outbox import CentralError, Outbox, queue
from otel_tutor.demo.sessions import Sessions
from otel_tutor.demo.settings import Settings
from otel_tutor.demo.store import SessionRow


@pytest.fixture
def outbox(engine: Engine, settings: Settings, faults: Faults) -> Outbox:
    return Outbox(engine, settings.central, faults)


def central_ids(settings: Settings) -> list[str]:
    with closing(sqlite3.connect(settings.central)) as central:
        return [row[0] for row in central.execute("SELECT id FROM records")]


def test_all_records_are_moved_in_batches_and_counted_by_type(outbox: Outbox, engine: Engine, settings: Settings) -> None:
    with Session(engine) as session, session.begin():
        queue(session, "session", SessionRow(), copies=450)
        queue(session, "question", SessionRow())
    assert outbox.size() == 451

    drained = outbox.drain()
    assert (drained.records, drained.remaining) == ({"session": 450, "question": 1}, 0)
    assert len(set(central_ids(settings))) == 451
    assert outbox.drain().records == {}


def test_a_record_is_not_queued_when_its_transaction_fails(outbox: Outbox, engine: Engine) -> None:
    with Session(engine) as session:
        queue(session, "session", SessionRow())
        session.flush()
        session.rollback()

    assert outbox.size() == 0


def test_a_drain_cut_off_between_sending_and_taking_off_sends_nothing_twice(
    outbox: Outbox, engine: Engine, settings: Settings
) -> None:
    Sessions(engine).open()
    outbox._send(outbox._next_batch(outbox._last_position()))
    sent = central_ids(settings)

    assert outbox.drain().records == {"session": 1}
    assert central_ids(settings) == sent


def test_a_record_queued_while_two_drain_the_same_batch_is_not_lost(outbox: Outbox, engine: Engine) -> None:
    sessions = Sessions(engine)
    sessions.open()
    batch = outbox._next_batch(outbox._last_position())
    assert outbox.drain().records == {"session": 1}
    sessions.open()

    assert outbox._take_off(row.position for row in batch) == []
    assert outbox.drain().records == {"session": 1}


def test_a_refusing_central_database_leaves_everything_queued(outbox: Outbox, engine: Engine, faults: Faults) -> None:
    Sessions(engine).open()
    faults.switch(FULL_OUTBOX, True)
    with pytest.raises(CentralError, match="refuses records"):
        outbox.drain()
    assert outbox.size() == 1

    faults.switch(FULL_OUTBOX, False)
    assert outbox.drain().remaining == 0
