"""A real server in a thread of the test, for what clients do to connections."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp

__all__ = ["Address", "serving"]

Address = tuple[str, int]


@contextmanager
def serving(app: ASGIApp, **options: Any) -> Iterator[Address]:
    """An app served by uvicorn, with these options, at this address; afterwards every request has ended."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, **options))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert thread.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.001)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    yield host, port
    server.should_exit = True
    thread.join(30)
    assert not thread.is_alive()
