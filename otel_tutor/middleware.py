"""One HTTP request becomes one server span, one duration and one request in progress.

A pure ASGI middleware that holds no state of a request between requests. Span attributes and context extraction are those
of opentelemetry-instrumentation-asgi; its metrics are not used, since they put background tasks inside the duration and
lose the status of an unhandled error and the template of a mount.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from opentelemetry import propagate, trace
from opentelemetry.instrumentation._semconv import _StabilityMode
from opentelemetry.instrumentation.asgi import collect_request_attributes
from opentelemetry.trace import Span, SpanKind, StatusCode
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from otel_tutor import catalogue
from otel_tutor.eventloop import watch_event_loop
from otel_tutor.guard import harmless, report
from otel_tutor.instruments import Labels, bounded, histogram, observe
from otel_tutor.route import PROBES, route_template
from otel_tutor.tracing import tracer

__all__ = ["TelemetryMiddleware", "observe_requests_in_progress"]

_OURS: Final = "otel_tutor.request"  # scope key: one owner per request, however often the app is wrapped

_CLIENT_GONE: Final = 499  # nginx's code for a client that hung up before the response began
_SERVER_ERROR: Final = 500

_in_progress: Final[dict[int, "_Request"]] = {}
_routes_seen: Final[set[tuple[str, str | None]]] = set()  # bounded, as both of its parts are


class _Request:
    """What is known of a request while it is answered."""

    __slots__ = ("context", "method", "scope", "span", "start", "status")

    def __init__(self, scope: Scope) -> None:
        self.start = time.perf_counter()
        self.scope = scope
        self.status: int | None = None
        # A query string and a client's address can identify a student; the service is operated without them.
        public = {**scope, "query_string": b"", "client": None}
        attributes: dict[str, Any] = collect_request_attributes(public, _StabilityMode.HTTP)  # type: ignore[no-untyped-call]  # upstream has none
        if server := scope.get("server"):
            attributes["server.address"] = server[0]  # the helper appends the port, which is an attribute of its own
        self.method = str(attributes.get(catalogue.METHOD.key, "_OTHER"))
        name = "HTTP" if self.method == "_OTHER" else self.method  # semantic conventions, HTTP span name
        parent = propagate.extract({name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]})
        self.span: Span = tracer().start_span(name, context=parent, kind=SpanKind.SERVER, attributes=attributes)
        self.context = trace.set_span_in_context(self.span, parent)

    def route(self) -> str | None:
        template = route_template(self.scope)
        return None if template is None else bounded(catalogue.ROUTE, template)

    @harmless
    def finish(self, error: BaseException | None = None) -> None:
        """Record the request, once, at the last byte of its response or at its failure."""
        if _in_progress.pop(id(self), None) is None:
            return
        elapsed = time.perf_counter() - self.start
        if self.status is None:
            self.status = _CLIENT_GONE if isinstance(error, asyncio.CancelledError) else _SERVER_ERROR
        labels: dict[str, str | int] = {catalogue.METHOD.key: self.method, catalogue.STATUS_CODE.key: self.status}
        route = self.route()
        _routes_seen.add((self.method, route))
        if route is not None:
            labels[catalogue.ROUTE.key] = route
            self.span.update_name(f"{self.method} {route}")
        self.span.set_attributes(labels)
        if error is not None:
            self.span.record_exception(error)
        if error is not None or self.status >= _SERVER_ERROR:
            self.span.set_attribute("error.type", type(error).__qualname__ if error else str(self.status))
            self.span.set_status(StatusCode.ERROR)
        histogram(catalogue.HTTP_DURATION).record(elapsed, labels, context=self.context)
        self.span.end()


def _is_observed(scope: Scope) -> bool:
    return scope["type"] == "http" and _OURS not in scope and scope["path"] not in PROBES


def _begin(scope: Scope) -> _Request | None:
    """A request under observation, or None when its scope is too odd to be read: it is then answered unobserved."""
    try:
        request = _Request(scope)
    except Exception as error:
        report(error)
        return None
    scope[_OURS] = request
    _in_progress[id(request)] = request
    return request


class TelemetryMiddleware:
    """Measure and trace every HTTP request of `app`; everything else passes through untouched."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        watch_event_loop()
        if not _is_observed(scope) or (request := _begin(scope)) is None:
            await self.app(scope, receive, send)
            return

        async def observed_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                request.status = message["status"]
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                request.finish()

        with trace.use_span(request.span, record_exception=False, set_status_on_exception=False):
            try:
                await self.app(scope, receive, observed_send)
            except BaseException as error:
                request.finish(error)
                raise
            request.finish()


def observe_requests_in_progress() -> None:
    """Have the requests in progress counted at every export; `configure()` calls this once."""
    observe(catalogue.HTTP_ACTIVE, _count_requests)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_in_progress.clear)  # they are the parent's to finish


def _count_requests() -> Iterable[tuple[float, Labels]]:
    now = Counter((request.method, request.route()) for request in list(_in_progress.values()))
    # A route that went quiet is reported as 0, not forgotten at its last count.
    for method, route in _routes_seen | now.keys():
        labels = {catalogue.METHOD.key: method}
        if route is not None:
            labels[catalogue.ROUTE.key] = route
        yield now[method, route], labels
