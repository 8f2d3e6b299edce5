"""The demo's tutor, which also says what its process holds: `uvicorn --factory tests.soak.app:create_app`."""

import asyncio
import gc

import psutil
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from otel_tutor.demo.app import create_app as create_tutor

__all__ = ["create_app"]


def create_app() -> Starlette:
    """The tutor, with one more route."""
    app = create_tutor()
    app.router.routes.append(Route("/holds", _holds))
    return app


async def _holds(_: Request) -> Response:
    process = psutil.Process()
    gc.collect()
    return JSONResponse(
        {
            "memory": process.memory_full_info().uss,  # bytes that only this process has
            "threads": process.num_threads(),
            "descriptors": process.num_fds(),
            "tasks": len(asyncio.all_tasks()),
        }
    )
