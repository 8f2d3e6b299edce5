"""Faults that can be switched on and off."""

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from otel_tutor.demo.faults import (
    DEAD_DATABASE,
    FAULTS,
    LEAKED_CONNECTIONS,
    SLOW_RETRIEVAL,
    STALLED_LOOP,
    Faults,
    Leak,
    kill_database_while_on,
)
from otel_tutor.demo.settings import Settings


def test_all_are_off_until_switched_on_and_every_process_sees_the_same(settings: Settings) -> None:
    here, there = Faults(settings.faults), Faults(settings.faults)
    assert not any(here.states().values())

    here.switch(SLOW_RETRIEVAL, True)
    assert [name for name, on in there.states().items() if on] == [SLOW_RETRIEVAL]
    there.switch(SLOW_RETRIEVAL, False)
    there.switch(SLOW_RETRIEVAL, False)
    assert not here.is_on(SLOW_RETRIEVAL)


@pytest.mark.parametrize("name", ["", "slow", "../tutor.db"])
def test_an_unknown_fault_is_refused_with_the_known_ones(faults: Faults, name: str) -> None:
    with pytest.raises(ValueError, match=", ".join(FAULTS)):
        faults.switch(name, True)
    with pytest.raises(ValueError, match="unknown fault"):
        faults.is_on(name)


def test_a_dead_database_fails_for_pooled_and_new_connections_and_comes_back(engine: Engine, faults: Faults) -> None:
    kill_database_while_on(engine, faults)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    faults.switch(DEAD_DATABASE, True)
    for _ in range(3):
        with pytest.raises(OperationalError, match="unable to open database file"):
            engine.connect()

    faults.switch(DEAD_DATABASE, False)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM passages")) > 0


def test_a_fault_for_one_worker_is_claimed_once_each_time_it_is_on(settings: Settings) -> None:
    here, there = Faults(settings.faults), Faults(settings.faults)
    assert not here.claim(STALLED_LOOP)
    for _ in range(2):
        here.switch(STALLED_LOOP, True)
        assert [there.claim(STALLED_LOOP), here.claim(STALLED_LOOP)] == [True, False]
        here.switch(STALLED_LOOP, False)


def test_a_leak_empties_the_pool_and_gives_all_back(engine: Engine, faults: Faults) -> None:
    leak, most = Leak(engine, faults), 10
    faults.switch(LEAKED_CONNECTIONS, True)
    for _ in range(most + 2):
        leak.follow()
    assert engine.pool.checkedout() == most  # type: ignore[attr-defined]

    faults.switch(LEAKED_CONNECTIONS, False)
    leak.follow()
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
