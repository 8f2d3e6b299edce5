"""The server beside other work: in a thread, on a free port of loopback."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Final

import uvicorn

from otel_tutor.demo.model_server.account import Account
from otel_tutor.demo.model_server.app import create_model_app
from otel_tutor.demo.model_server.writing import Library

__all__ = ["LOOPBACK", "serving_model"]

LOOPBACK: Final = "127.0.0.1"
_START_SECONDS: Final = 30.0  # on a busy machine; it takes a few milliseconds
_STOP_SECONDS: Final = 5  # for requests that are under way


@contextmanager
def serving_model(library: Library | None = None, account: Account | None = None) -> Iterator[str]:
    """The address of a server that runs until the block ends: `http://127.0.0.1:PORT`. OpenAI's clients add `/v1`.

    Without a library it trains one, and without an account it keeps one in memory.
    """
    kept = account or Account()
    app = create_model_app(library or Library.train(), kept)
    # No lifespan and no log lines per request: inside a tutor, it is part of the tutor.
    config = uvicorn.Config(
        app,
        host=LOOPBACK,
        port=0,
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="model server", daemon=True)
    Context().run(thread.start)  # what it logs is not about the question that made a tutor start it
    try:
        yield f"http://{LOOPBACK}:{_port(server, thread)}"
    finally:
        server.should_exit = True
        thread.join()
        if account is None:
            kept.close()


def _port(server: uvicorn.Server, thread: threading.Thread) -> int:
    deadline = time.monotonic() + _START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the model server did not start; its log says why")
        time.sleep(0.001)
    port: int = server.servers[0].sockets[0].getsockname()[1]
    return port
