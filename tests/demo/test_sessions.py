"""Sessions, and their number over several workers."""

from sqlalchemy import Engine

from otel_tutor.demo.sessions import Reporter, Sessions
from otel_tutor.demo.settings import Settings


def test_a_session_is_ended_once_by_any_worker(engine: Engine) -> None:
    opener, other = Sessions(engine), Sessions(engine)
    session = opener.open()

    assert other.end(session)
    assert not opener.end(session)
    assert not opener.end("nothing")


def test_the_numbers_that_workers_report_add_up_to_the_open_sessions(engine: Engine, settings: Settings) -> None:
    workers = [Reporter(settings.database, settings.reporter_lock) for _ in range(3)]
    sessions = Sessions(engine)
    opened = [sessions.open() for _ in range(5)]
    assert sum(worker.open_sessions() for worker in workers) == 5

    sessions.end(opened[0])
    workers.pop(0).close()
    assert sorted(worker.open_sessions() for worker in workers) == [0, 4]
    for worker in workers:
        worker.close()
