"""The app under the faults: one span with one child, one line, one count and one duration a request, each numbered.

`uvicorn tests.faults.app:app`. What is asked besides work belongs to the faults.
"""

import asyncio
import logging
import os
import sys
import threading
import time

import psutil
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

import otel_tutor
from otel_tutor.monitoring import metrics_collector
from otel_tutor.tracing import trace_operation

__all__ = ["app"]

logging.getLogger("work").setLevel(logging.INFO)
_log = logging.getLogger("work")


async def _work(request: Request) -> Response:
    number = request.query_params["number"]
    with trace_operation("work", {"item": number}):
        _log.info("work", extra={"item": number})
    metrics_collector.track_student_activity("physics", "optics")
    return PlainTextResponse(number)


async def _holds(_: Request) -> Response:
    return JSONResponse({"pid": os.getpid(), "memory": psutil.Process().memory_full_info().uss})


async def _flush(_: Request) -> Response:
    return JSONResponse(await asyncio.to_thread(otel_tutor.flush, 10))


async def _block(request: Request) -> Response:
    time.sleep(float(request.query_params["seconds"]))
    return PlainTextResponse("")


async def _fork(_: Request) -> Response:
    """A child that works a hundred times and ends, as one of multiprocessing does."""
    child = os.fork()
    if not child:
        for number in range(100):
            with trace_operation("work", {"item": f"child-{os.getpid()}-{number}"}):
                _log.info("work", extra={"item": f"child-{os.getpid()}-{number}"})
            metrics_collector.track_student_activity("physics", "optics")
        os._exit(0)
    await asyncio.to_thread(os.waitpid, child, 0)
    return PlainTextResponse("")


async def _exit(_: Request) -> Response:
    """A thread that asks the main thread to leave, as a watchdog does."""
    threading.Thread(target=lambda: os.kill(os.getpid(), 15)).start()
    sys.stdout.flush()
    return PlainTextResponse("")


_PATHS = {"/work": _work, "/holds": _holds, "/flush": _flush, "/block": _block, "/fork": _fork, "/exit": _exit}
app = Starlette(routes=[Route(path, answer) for path, answer in _PATHS.items()])
otel_tutor.configure(app)
