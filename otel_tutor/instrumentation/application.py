"""Telemetry around a whole application: outside its error handlers, and outside every middleware, whenever it was added."""

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from otel_tutor.instrumentation.asgi import TelemetryMiddleware
from otel_tutor.instrumentation.background import trace_background_tasks
from otel_tutor.instrumentation.ownership import mark_as_instrumented, own_once
from otel_tutor.instrumentation.route import DESTINATION, Destination

__all__ = ["is_observed", "observe_app"]


class _ObservedStack:
    """Builds what an app's own `build_middleware_stack` builds, with telemetry around it."""

    def __init__(self, app: Starlette, at_end: Callable[[], object]) -> None:
        self._app = app
        self._build = app.build_middleware_stack
        self._at_end = at_end

    def __call__(self) -> ASGIApp:
        trace_background_tasks()  # again: FastAPIInstrumentor may have wrapped them meanwhile
        router = self._app.router
        stack = getattr(router, "middleware_stack", None)  # an app may have put in something else
        if stack is not None and not isinstance(stack, _Arrival):
            router.middleware_stack = _Arrival(stack)  # type: ignore[assignment]  # it returns the stack's coroutine
        return TelemetryMiddleware(self._build(), self._at_end)


class _Arrival:
    """Stands before the routes of an app: the scope that arrives there is the one that its middleware made."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        destination = scope.get(DESTINATION)
        if isinstance(destination, Destination):
            destination.arrive(scope)
        return self.app(scope, receive, send)  # for the caller to await: a coroutine here would have nothing else to do


def observe_app(app: Starlette, at_end: Callable[[], object]) -> None:
    """Have every request of `app` measured and traced; once, however often this is called.

    Starlette puts a middleware of `add_middleware` inside its own handler of errors and inside those that are added later:
    it would see neither the status that leaves nor what they answer themselves. So what `app` builds at its first request
    is wrapped. Only this one object is changed, and not the middleware that its user gave it.
    """
    if not is_observed(app):
        app.build_middleware_stack = _ObservedStack(app, at_end)  # type: ignore[method-assign]
        mark_as_instrumented(app)
    own_once(is_observed)


def is_observed(app: object) -> bool:
    """Whether `observe_app` was given this app, another instrumentation of it meanwhile included."""
    build = getattr(app, "build_middleware_stack", None)
    while build is not None and not isinstance(build, _ObservedStack):
        build = getattr(build, "__wrapped__", None)
    return build is not None
