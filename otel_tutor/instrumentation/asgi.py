"""One HTTP request becomes one server span, one duration and one request in progress; `websocket.py` has WebSockets.

A pure ASGI middleware that holds no state of a request between requests. The metrics of opentelemetry-instrumentation-asgi
are not used, since they put background tasks inside the duration and lose the status of an unhandled error and the template
of a mount.
"""

import asyncio
import functools
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

import anyio.to_thread
from opentelemetry.trace import Span, SpanKind, StatusCode
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from otel_tutor import catalogue
from otel_tutor.instrumentation.attributes import request_attributes
from otel_tutor.instrumentation.eventloop import watch_event_loop
from otel_tutor.instrumentation.outcome import CLIENT_GONE, SERVER_ERROR, failure_of
from otel_tutor.instrumentation.ownership import FASTAPI, OWNED, disown
from otel_tutor.instrumentation.propagation import context_inside, remote_context
from otel_tutor.instrumentation.route import DESTINATION, Destination, will_reach_probe
from otel_tutor.instrumentation.websocket import observe_connection, observe_connections
from otel_tutor.recording import clock
from otel_tutor.recording.guard import attempt, log_internal_error
from otel_tutor.recording.instruments import Labels, observe, recorder
from otel_tutor.recording.operation import Attached, conclude, tracer
from otel_tutor.recording.outcome import record_exception
from otel_tutor.recording.state import state

__all__ = ["TelemetryMiddleware", "observe_requests_in_progress"]

_ROUTE: Final = catalogue.ROUTE.key
_STATUS_CODE: Final = catalogue.STATUS_CODE.key


class _Request:
    """What is known of a request while it is answered."""

    __slots__ = (
        "context",
        "destination",
        "finished",
        "first_byte",
        "has_trailers",
        "is_unanswered",
        "method",
        "received",
        "send_error",
        "sent",
        "span",
        "start",
        "status",
        "streamed",
    )

    def __init__(self, scope: Scope, app: ASGIApp) -> None:
        self.start = clock.now()
        self.destination = Destination(scope, app)
        self.status: int | None = None
        self.received = self.sent = 0  # bytes of bodies
        self.first_byte: float | None = None
        self.streamed = self.has_trailers = self.finished = False
        self.is_unanswered = False  # the client had gone before its response began
        self.send_error: OSError | None = None
        attributes = request_attributes(scope)
        self.method = str(attributes.get(catalogue.METHOD.key, "_OTHER"))
        name = "HTTP" if self.method == "_OTHER" else self.method  # semantic conventions, HTTP span name
        parent = remote_context(scope["headers"])
        self.span: Span = tracer().start_span(name, context=parent, kind=SpanKind.SERVER, attributes=attributes)
        self.context = context_inside(self.span, parent, self.destination.label)

    def note_received(self, message: Message) -> None:
        """Account for a piece of the request, or for its client having gone."""
        if message["type"] == "http.disconnect":
            self.is_unanswered = self.is_unanswered or self.status is None
        else:
            self.received += len(message.get("body") or b"")

    def note_sent(self, message: Message) -> bool:
        """Account for a piece of the response; returns whether it is the last."""
        match message["type"]:
            case "http.response.start":
                self.status = int(message["status"])
                self.has_trailers = bool(message.get("trailers"))
                return False
            case "http.response.body":
                if self.first_byte is None:
                    self.first_byte = clock.now() - self.start
                self.streamed = self.streamed or bool(message.get("more_body"))
                self.sent += len(message.get("body") or b"")
                return not message.get("more_body") and not self.has_trailers
            case "http.response.pathsend" | "http.response.zerocopysend":
                return not message.get("more_body") and not self.has_trailers
            case "http.response.trailers":
                return not message.get("more_trailers")
        return False

    def finish(self, error: BaseException | None = None) -> None:
        """Record the request, once, at the last byte of its response or at its failure; the span ends whatever fails."""
        if self.finished:
            return
        self.finished = True
        elapsed = clock.now() - self.start
        state.requests.pop(id(self), None)
        try:
            route, is_probe = self.destination.find()
            if is_probe:
                return  # a span that is not ended is never sent
        except BaseException as failed:
            log_internal_error(failed)
            route = None
        try:
            self._record(route, error, elapsed)
        except BaseException as failed:
            log_internal_error(failed)
        finally:
            attempt(self.span.end)

    def _record(self, route: str | None, error: BaseException | None, elapsed: float) -> None:
        status, failure = self.status, None
        if error is not None or status is None or self.is_unanswered:
            try:
                status, failure = self._judge(error)
            except BaseException as failed:  # of an exception that cannot be read
                log_internal_error(failed)
                status, failure = SERVER_ERROR, error
        try:
            self._measure(route, status, elapsed)
        finally:
            self._describe_span(route, status, failure)

    def _judge(self, error: BaseException | None) -> tuple[int, BaseException | None]:
        """The status that reached the client, or what its absence means, and what the service is to blame for."""
        failure = None if error is self.send_error else failure_of(error)
        if self.is_unanswered and failure is None:
            return CLIENT_GONE, None
        if self.status is not None:
            return self.status, failure
        if isinstance(error, HTTPException):
            return int(error.status_code), None  # what stands outside will answer with it
        return (SERVER_ERROR if error is None or failure is not None else CLIENT_GONE), failure

    def _describe_span(self, route: str | None, status: int, failure: BaseException | None) -> None:
        attributes: dict[str, str | int] = {_STATUS_CODE: status}
        name = None
        if route is not None:
            attributes[_ROUTE] = route
            name = f"{self.method} {route}"
        conclude(self.span, name, attributes)
        if failure is not None or status >= SERVER_ERROR:
            self.span.set_attribute("error.type", str(status) if failure is None else type(failure).__qualname__)
            self.span.set_status(StatusCode.ERROR)
        if failure is not None:
            record_exception(self.span, failure)

    def _measure(self, route: str | None, status: int, elapsed: float) -> None:
        traffic = state.traffic.setdefault((self.method, route), [0, 0])
        traffic[0] += self.received
        traffic[1] += self.sent
        if self.streamed and self.first_byte is not None:
            attempt(recorder(catalogue.HTTP_FIRST_BYTE), self.first_byte, _labels(self.method, route), self.context)
        recorder(catalogue.HTTP_DURATION)(elapsed, _labels(self.method, route, status), self.context)


def _begin(scope: Scope, app: ASGIApp) -> _Request | None:
    """A request under observation; None for a health probe, and for a scope that cannot be read, which are only answered."""
    try:
        if will_reach_probe(scope, app):
            return None
        request = _Request(scope, app)
    except BaseException as error:
        log_internal_error(error)
        return None
    scope[DESTINATION] = request.destination
    state.requests[id(request)] = request
    return request


async def _observe_request(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Have `app` answer a request under observation."""
    request = _begin(scope, app)
    if request is None:
        await app(scope, receive, send)
        return

    async def observed_receive() -> Message:
        message = await receive()
        attempt(request.note_received, message)
        return message

    handled_outside = sys.exception()  # a server may be started while one is handled

    async def observed_send(message: Message) -> None:
        try:
            await send(message)
        except OSError as error:  # ASGI: what a server raises when the client has gone
            request.send_error = error
            raise
        try:
            is_last = request.note_sent(message)
        except Exception as error:
            log_internal_error(error)
            return
        if is_last:
            # A 5xx that is sent while an exception is handled is the answer to that exception.
            answered = sys.exception() if (request.status or 0) >= SERVER_ERROR else None
            request.finish(None if answered is handled_outside else answered)

    with Attached(request.context):
        try:
            await app(scope, observed_receive, observed_send)
        except BaseException as error:
            request.finish(error)
            raise
        request.finish()


_OBSERVERS: Final = {"http": _observe_request, "websocket": observe_connection}


class TelemetryMiddleware:
    """Measure and trace every HTTP request and WebSocket of `app`; everything else passes through untouched."""

    def __init__(self, app: ASGIApp, at_end: Callable[[], object] | None = None) -> None:
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
        observe = _OBSERVERS.get(scope["type"])
        if observe is None or DESTINATION in scope or scope.get(FASTAPI) is not None:
            await self.app(scope, receive, send)  # or it has its one owner, however often the app is wrapped
            return
        scope.update(OWNED)
        try:
            await observe(self.app, scope, receive, send)
        finally:
            disown(scope)

    def _watch_event_loop(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # another event loop than asyncio's, which cannot be watched without a task in it
            return
        if loop is not self._loop:
            self._loop = loop
            watch_event_loop(loop)

    def _until_the_end(self, send: Send) -> Send:
        async def observed_send(message: Message) -> None:
            # A server may end its worker by the signal it got, which runs no exit handler: this is the last occasion.
            if self._at_end is not None and str(message.get("type")).startswith("lifespan.shutdown."):
                try:
                    await anyio.to_thread.run_sync(attempt, self._at_end)
                except Exception as error:
                    log_internal_error(error)
            await send(message)

        return observed_send


def observe_requests_in_progress() -> None:
    """Have the requests in progress counted at every export; `configure()` calls this once."""
    observe(catalogue.HTTP_ACTIVE, _count_requests)
    observe(catalogue.HTTP_REQUEST_IO, functools.partial(_count_bytes, 0))
    observe(catalogue.HTTP_RESPONSE_IO, functools.partial(_count_bytes, 1))
    observe_connections()


@functools.lru_cache(maxsize=4096)  # those in use; methods, routes and statuses are limited
def _labels(method: str, route: str | None, status: int | None = None) -> Labels:
    labels = {catalogue.METHOD.key: method, catalogue.ROUTE.key: route, catalogue.STATUS_CODE.key: status}
    return {key: value for key, value in labels.items() if value is not None}


def _count_requests() -> Iterable[tuple[float, Labels]]:
    requests = [request for request in list(state.requests.values()) if not attempt(request.destination.is_probe)]
    now = Counter((request.method, request.destination.label()) for request in requests)
    # A route that went quiet is reported as 0, not forgotten at its last count.
    for key in {*state.traffic, *now}:
        yield now[key], _labels(*key)


def _count_bytes(direction: int) -> Iterable[tuple[float, Labels]]:
    for key, traffic in list(state.traffic.items()):
        yield traffic[direction], _labels(*key)
