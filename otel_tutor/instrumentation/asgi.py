"""One HTTP request becomes one server span, one duration and one request in progress; `websocket.py` has WebSockets.

A pure ASGI middleware that holds no state of a request between requests. Span attributes are those of
opentelemetry-instrumentation-asgi and made with its public helpers: the function that makes all of them takes a private
argument. Its metrics are not used, since they put background tasks inside the duration and lose the status of an unhandled
error and the template of a mount.
"""

import asyncio
import functools
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.instrumentation.asgi import asgi_getter, get_host_port_url_tuple
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.util.http import detect_synthetic_user_agent, sanitize_method
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from otel_tutor import catalogue
from otel_tutor.instrumentation.eventloop import watch_event_loop
from otel_tutor.instrumentation.route import is_probe, remote_parent, route_label, will_reach_probe
from otel_tutor.instrumentation.websocket import observe_connection, observe_connections
from otel_tutor.recording import clock
from otel_tutor.recording.guard import attempt, log_internal_error
from otel_tutor.recording.instruments import Labels, observe, recorder
from otel_tutor.recording.operation import tracer
from otel_tutor.recording.state import state

__all__ = ["TelemetryMiddleware", "observe_requests_in_progress"]

_OURS: Final = "otel_tutor.request"  # scope key: one owner per request, however often the app is wrapped

_CLIENT_GONE: Final = 499  # nginx's code for a client that hung up before the response began
_SERVER_ERROR: Final = 500


@functools.lru_cache(maxsize=512)  # some methods times some browsers; others are worked out again
def _attributes(
    method: str, scheme: str, version: str, server: tuple[str, int | None] | None, agent: bytes
) -> dict[str, str | int]:
    """The attributes of such a request by the semantic conventions, its path left out.

    A query string and a client's address can identify a student; the service is operated without them.
    """
    known_method = sanitize_method(method) if method else None
    _, port, _ = get_host_port_url_tuple({"server": server})  # type: ignore[no-untyped-call]  # upstream has no types
    user_agent = _decoded(agent)
    attributes = {
        "http.request.method": known_method,
        "http.request.method_original": method.strip() if method.strip() != known_method else None,
        "url.scheme": scheme,
        "server.address": server[0] if server else "0.0.0.0",
        "server.port": port,
        "network.protocol.version": version,
        "user_agent.original": user_agent,
        "user_agent.synthetic.type": detect_synthetic_user_agent(user_agent),
    }
    return {key: value for key, value in attributes.items() if value}


def _decoded(agent: bytes) -> str:
    try:
        return str((asgi_getter.get({"headers": [(b"user-agent", agent)]}, "user-agent") or [""])[0])
    except ValueError:  # neither UTF-8 nor a valid escape
        return agent.decode("latin-1")


def _request_attributes(scope: Scope) -> dict[str, Any]:
    agent = next((value for name, value in scope["headers"] if name == b"user-agent"), b"")
    server = scope.get("server")
    common = _attributes(
        scope["method"],
        scope.get("scheme", "http"),
        scope.get("http_version", ""),
        tuple(server) if server else None,
        agent,
    )
    return {**common, "url.path": scope["path"]}


class _Request:
    """What is known of a request while it is answered."""

    __slots__ = (
        "context",
        "finished",
        "first_byte",
        "method",
        "received",
        "scope",
        "sent",
        "span",
        "start",
        "status",
        "streamed",
    )

    def __init__(self, scope: Scope) -> None:
        self.start = clock.now()
        self.scope = scope
        self.status: int | None = None
        self.received = self.sent = 0  # bytes of bodies
        self.first_byte: float | None = None
        self.streamed = self.finished = False
        attributes = _request_attributes(scope)
        self.method = str(attributes.get(catalogue.METHOD.key, "_OTHER"))
        name = "HTTP" if self.method == "_OTHER" else self.method  # semantic conventions, HTTP span name
        parent = remote_parent(scope)
        self.span: Span = tracer().start_span(name, context=parent, kind=SpanKind.SERVER, attributes=attributes)
        self.context = trace.set_span_in_context(self.span, parent)

    def note_received(self, message: Message) -> None:
        """Account for a piece of the request."""
        self.received += len(message.get("body") or b"")

    def note_sent(self, message: Message) -> None:
        """Account for a piece of the response."""
        if self.first_byte is None:
            self.first_byte = clock.now() - self.start
        self.streamed = self.streamed or bool(message.get("more_body"))
        self.sent += len(message.get("body") or b"")

    def finish(self, error: BaseException | None = None) -> None:
        """Record the request, once, at the last byte of its response or at its failure; the span ends whatever fails."""
        if self.finished:
            return
        self.finished = True
        state.requests.pop(id(self), None)
        if is_probe(self.scope):
            return  # a span that is not ended is never sent
        elapsed = clock.now() - self.start
        status = self.status or (_CLIENT_GONE if isinstance(error, asyncio.CancelledError) else _SERVER_ERROR)
        try:
            route = attempt(route_label, self.scope)
            attempt(self._count_bytes, route)
            attempt(self._describe_span, route, status, error)
            attempt(self._measure, route, status, elapsed)
        finally:
            attempt(self.span.end)

    def _count_bytes(self, route: str | None) -> None:
        traffic = state.traffic.setdefault((self.method, route), [0, 0])
        traffic[0] += self.received
        traffic[1] += self.sent

    def _describe_span(self, route: str | None, status: int, error: BaseException | None) -> None:
        attributes: dict[str, str | int] = {catalogue.STATUS_CODE.key: status}
        if route is not None:
            attributes[catalogue.ROUTE.key] = route
            self.span.update_name(f"{self.method} {route}")
        self.span.set_attributes(attributes)
        if error is not None or status >= _SERVER_ERROR:
            self.span.set_attribute("error.type", str(status) if error is None else type(error).__qualname__)
            self.span.set_status(StatusCode.ERROR)
        if error is not None:
            self.span.record_exception(error)

    def _measure(self, route: str | None, status: int, elapsed: float) -> None:
        labels = _labels(self.method, route)
        if self.streamed and self.first_byte is not None:
            attempt(recorder(catalogue.HTTP_FIRST_BYTE), self.first_byte, labels, self.context)
        recorder(catalogue.HTTP_DURATION)(elapsed, {**labels, catalogue.STATUS_CODE.key: status}, self.context)


def _begin(scope: Scope, app: ASGIApp) -> _Request | None:
    """A request under observation; None for a health probe, and for a scope that cannot be read, which are only answered."""
    if attempt(will_reach_probe, scope, app):
        return None
    try:
        request = _Request(scope)
    except Exception as error:
        log_internal_error(error)
        return None
    scope[_OURS] = request
    state.requests[id(request)] = request
    return request


class TelemetryMiddleware:
    """Measure and trace every HTTP request and WebSocket of `app`; everything else passes through untouched."""

    def __init__(self, app: ASGIApp, at_end: Callable[[], None] | None = None) -> None:
        """`at_end` is called, in a thread, when the server has the app shut down."""
        self.app = app
        self._at_end = at_end
        self._loop: asyncio.AbstractEventLoop | None = None  # the one that is watched

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        self._watch_event_loop()  # in the lifespan, before the first request: it shows that an idle service lives
        if scope["type"] == "lifespan":
            await self.app(scope, receive, self._until_the_end(send))
            return
        if scope["type"] == "websocket" and _OURS not in scope:
            scope[_OURS] = self
            await observe_connection(self.app, scope, receive, send)
            return
        if scope["type"] != "http" or _OURS in scope or (request := _begin(scope, self.app)) is None:
            await self.app(scope, receive, send)
            return

        async def observed_receive() -> Message:
            message = await receive()
            attempt(request.note_received, message)
            return message

        async def observed_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                request.status = message.get("status")
            await send(message)
            if message["type"] == "http.response.body":
                attempt(request.note_sent, message)
                if not message.get("more_body"):
                    request.finish()

        with trace.use_span(request.span, record_exception=False, set_status_on_exception=False):
            try:
                await self.app(scope, observed_receive, observed_send)
            except BaseException as error:
                request.finish(error)
                raise
            request.finish()

    def _watch_event_loop(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # another event loop than asyncio's
            return
        if loop is not self._loop:
            self._loop = loop
            watch_event_loop(loop)

    def _until_the_end(self, send: Send) -> Send:
        async def observed_send(message: Message) -> None:
            # A server may end its worker by the signal it got, which runs no exit handler: this is the last occasion.
            if self._at_end is not None and message["type"].startswith("lifespan.shutdown."):
                await asyncio.to_thread(self._at_end)
            await send(message)

        return observed_send


def observe_requests_in_progress() -> None:
    """Have the requests in progress counted at every export; `configure()` calls this once."""
    observe(catalogue.HTTP_ACTIVE, _count_requests)
    observe(catalogue.HTTP_REQUEST_IO, functools.partial(_count_bytes, 0))
    observe(catalogue.HTTP_RESPONSE_IO, functools.partial(_count_bytes, 1))
    observe_connections()


def _labels(method: str, route: str | None) -> Labels:
    labels = {catalogue.METHOD.key: method}
    return labels if route is None else {**labels, catalogue.ROUTE.key: route}


def _count_requests() -> Iterable[tuple[float, Labels]]:
    requests = [request for request in list(state.requests.values()) if not is_probe(request.scope)]
    now = Counter((request.method, route_label(request.scope)) for request in requests)
    # A route that went quiet is reported as 0, not forgotten at its last count.
    for key in {*state.traffic, *now}:
        yield now[key], _labels(*key)


def _count_bytes(direction: int) -> Iterable[tuple[float, Labels]]:
    for key, traffic in list(state.traffic.items()):
        yield traffic[direction], _labels(*key)
