"""The tutor as a Starlette application: `uvicorn --factory otel_tutor.demo.app:create_app --workers 2`."""

import logging
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import anyio
from openai import OpenAIError
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

import otel_tutor
from otel_tutor.demo.body import BadInputError
from otel_tutor.demo.checks import register_checks
from otel_tutor.demo.corpus import read_passages, read_practice
from otel_tutor.demo.faults import Faults, kill_database_while_on
from otel_tutor.demo.generation import GenerationError
from otel_tutor.demo.model_server import Account, Library
from otel_tutor.demo.models import RemoteModel
from otel_tutor.demo.outbox import CentralError, Outbox
from otel_tutor.demo.practice import Practice
from otel_tutor.demo.routes import ROUTES, Services
from otel_tutor.demo.sessions import Reporter, Sessions
from otel_tutor.demo.settings import Settings
from otel_tutor.demo.store import load_model, open_engine, prepare
from otel_tutor.demo.tutor import Tutor
from otel_tutor.health import drain_on_sigterm, health_routes
from otel_tutor.monitoring import metrics_collector

__all__ = ["PRICES", "create_app"]

PRICES: Final = Path(__file__).with_name("prices.yaml")
_LARGEST_BODY: Final = 64 * 1024  # bytes; the longest question takes 12 kB in the most wasteful JSON
_REFRESH_SECONDS: Final = 1.0

_log: Final = logging.getLogger(__name__)


def create_app(settings: Settings | None = None) -> Starlette:
    """A tutor over the files of one directory, observable; without settings, those of the environment.

    Its database is prepared when it starts to serve, not here.
    """
    settings = settings or Settings.from_env()
    engine = open_engine(settings.database)

    def lifespan(_: Starlette) -> AbstractAsyncContextManager[Mapping[str, Services]]:
        return _serve(settings, engine)

    app = Starlette(
        routes=[*ROUTES, *health_routes()],
        lifespan=lifespan,
        middleware=[Middleware(RequestBodyLimitMiddleware, max_body_size=_LARGEST_BODY)],
        exception_handlers={
            BadInputError: _bad_input,
            GenerationError: _no_answer,
            OpenAIError: _no_answer,
            CentralError: _central_down,
            OperationalError: _database_down,
            PoolTimeoutError: _database_down,
            HTTPException: _refused,
        },
    )
    logging.getLogger("otel_tutor.demo").setLevel(logging.INFO)
    for name in ("httpx", "httpx2"):  # OpenAI's client logs each of its requests there; a question is one line
        logging.getLogger(name).setLevel(logging.WARNING)
    otel_tutor.configure(app, engine=engine, service_name="tutor", prices=PRICES)
    return app


@asynccontextmanager
async def _serve(settings: Settings, engine: Engine) -> AsyncIterator[Mapping[str, Services]]:
    with ExitStack() as held:
        services = await run_in_threadpool(_start, settings, engine, held)
        drain_on_sigterm()  # only now: the server has set its own handler
        reporter = Reporter(settings.database, settings.reporter_lock)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_report, reporter)
                yield {"services": services}
                tasks.cancel_scope.cancel()
        finally:
            reporter.close()
            # The last export hands the counts over to the worker that reports next.
            metrics_collector.set_active_sessions(0)
            metrics_collector.set_sync_queue_size(0)
            engine.dispose()


def _start(settings: Settings, engine: Engine, held: ExitStack) -> Services:
    """What the endpoints call; what has to be closed afterwards is left to `held`."""
    prepare(settings.database)
    faults, account = Faults(settings.faults), Account(settings.model_account)
    held.callback(account.close)
    with Session(engine) as session:
        model = load_model(session)
    remote = RemoteModel(Library(model), account, faults)
    held.callback(remote.close)
    services = Services(
        tutor=Tutor(engine, faults, model, remote),
        practice=Practice(engine, read_practice()),
        sessions=Sessions(engine),
        outbox=Outbox(engine, settings.central, faults),
        faults=faults,
        model_account=account,
        subjects=sorted({passage.subject for passage in read_passages()}),
    )
    register_checks(settings, engine, services.tutor)
    kill_database_while_on(engine, faults)  # only now: a tutor starts whatever fault is on
    return services


async def _report(reporter: Reporter) -> None:
    while True:
        try:
            metrics_collector.set_active_sessions(await run_in_threadpool(reporter.open_sessions))
            metrics_collector.set_sync_queue_size(await run_in_threadpool(reporter.queued_records))
        except sqlite3.OperationalError as error:
            _log.warning("sessions and queued records were not counted: %s", error)
        await anyio.sleep(_REFRESH_SECONDS)


def _error(status: int, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status_code=status)


async def _bad_input(_: Request, error: Exception) -> Response:
    return _error(422, str(error))


async def _no_answer(_: Request, error: Exception) -> Response:
    return _error(502, f"No answer could be written: {str(error).removesuffix('.')}.")


async def _central_down(_: Request, error: Exception) -> Response:
    return _error(503, f"Nothing was moved: {error}.")


async def _database_down(_: Request, __: Exception) -> Response:
    return _error(503, "The tutor's database is down; try again later.")


async def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return JSONResponse({"error": error.detail}, status_code=error.status_code, headers=error.headers)
