"""One owner for each request, where OpenTelemetry's own middleware observes the same app.

FastAPIInstrumentor, StarletteInstrumentor and logfire's `instrument_fastapi` add it to an app; users also put it around one.
The order does not matter: a request to an app of `configure()` is observed here, and any other by what gets it first.
"""

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from otel_tutor.instrumentation.propagation import request_span
from otel_tutor.instrumentation.route import DESTINATION
from otel_tutor.recording.guard import attempt

__all__ = ["FASTAPI", "OWNED", "disown", "mark_as_instrumented", "own_once"]

Call = Callable[[Any, Scope, Receive, Send], Coroutine[Any, Any, None]]

# FastAPI's own scope key, from 0.150 on. With None every FastAPI app inside, mounted ones too, observes nothing.
FASTAPI: Final = "fastapi.telemetry"
OWNED: Final = {DESTINATION: None, FASTAPI: None}  # in the scope of a request that has an owner
_MARK: Final = "_is_instrumented_by_opentelemetry"  # what the instrumentors of FastAPI and Starlette set and look for
_OWNS_ONCE: Final = "__otel_tutor_owns_once__"  # attribute of the method
_LAYERS: Final = 50  # of middleware around an app; a limit, since `app` may lead in a circle


def mark_as_instrumented(app: Starlette) -> None:
    """Have the instrumentors of OpenTelemetry leave the app alone, by the attribute that they look for."""
    setattr(app, _MARK, True)


def own_once(is_observed: Callable[[object], bool]) -> None:
    """Have OpenTelemetry's middleware leave a request of an app for which `is_observed` holds to this package.

    Its hook for requests is called with the span that is made here. A request that it got first, for an app that has one of
    ours mounted, is its own: the app inside leaves it alone.
    """
    call: Call = OpenTelemetryMiddleware.__call__
    if not hasattr(call, _OWNS_ONCE):
        OpenTelemetryMiddleware.__call__ = _owning_once(call, is_observed)  # type: ignore[assignment, method-assign]


def disown(scope: Scope) -> None:
    """Take out of a scope what says that the request has an owner; the server may use the scope again."""
    scope.pop(DESTINATION, None)
    scope.pop(FASTAPI, None)


def _owning_once(call: Call, is_observed: Callable[[object], bool]) -> Call:
    @functools.wraps(call)
    async def call_once(middleware: Any, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await call(middleware, scope, receive, send)
        elif DESTINATION in scope:
            attempt(_call_hook, middleware, scope)
            await middleware.app(scope, receive, send)
        elif attempt(_leads_to, middleware, is_observed):
            await middleware.app(scope, receive, send)
        else:
            scope.update(OWNED)
            try:
                await call(middleware, scope, receive, send)
            finally:
                disown(scope)

    setattr(call_once, _OWNS_ONCE, True)
    return call_once


def _call_hook(middleware: Any, scope: Scope) -> None:
    if callable(hook := getattr(middleware, "server_request_hook", None)):
        hook(request_span() or trace.get_current_span(), scope)


def _leads_to(middleware: Any, is_observed: Callable[[object], bool]) -> bool:
    """Whether what the middleware stands around, through other middleware, is an app that is observed here."""
    app = middleware
    for _ in range(_LAYERS):
        app = getattr(app, "app", None)
        if app is None or is_observed(app):
            return app is not None
    return False
