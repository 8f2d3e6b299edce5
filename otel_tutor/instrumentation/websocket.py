"""One WebSocket connection becomes one server span and one duration; its messages are counted."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from otel_tutor import catalogue
from otel_tutor.instrumentation.route import remote_parent, route_label
from otel_tutor.recording import clock
from otel_tutor.recording.guard import attempt, log_internal_error, never_raise
from otel_tutor.recording.instruments import Labels, observe, recorder
from otel_tutor.recording.operation import tracer, was_cancelled
from otel_tutor.recording.state import state

__all__ = ["observe_connection", "observe_connections"]

_NAME: Final = "WEBSOCKET"


class _Connection:
    """What is known of a connection while it is open."""

    __slots__ = ("context", "scope", "span", "start")

    def __init__(self, scope: Scope) -> None:
        self.start = clock.now()
        self.scope = scope
        parent = remote_parent(scope)
        attributes = {"url.path": scope["path"], "url.scheme": scope.get("scheme", "ws")}
        self.span = tracer().start_span(_NAME, context=parent, kind=SpanKind.SERVER, attributes=attributes)
        self.context = trace.set_span_in_context(self.span, parent)

    @never_raise
    def count(self, direction: str) -> None:
        """One message."""
        state.messages[route_label(self.scope), direction] += 1

    def close(self, error: BaseException | None = None) -> None:
        """Record the connection, once, when the app has left it; the span ends whatever fails."""
        state.connections.pop(id(self), None)
        elapsed = clock.now() - self.start
        try:
            route = attempt(route_label, self.scope)
            state.connection_routes.add(route)
            attempt(self._describe_span, route, error)
            attempt(self._measure, elapsed, route)
        finally:
            attempt(self.span.end)

    def _describe_span(self, route: str | None, error: BaseException | None) -> None:
        if route is not None:
            self.span.update_name(f"{_NAME} {route}")
            self.span.set_attribute(catalogue.ROUTE.key, route)
        if error is not None and not was_cancelled(error):
            self.span.set_status(StatusCode.ERROR)
            self.span.record_exception(error)

    def _measure(self, elapsed: float, route: str | None) -> None:
        recorder(catalogue.WEBSOCKET_DURATION)(elapsed, _labels(route), self.context)


async def observe_connection(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Have `app` serve a WebSocket under observation."""
    try:
        connection = _Connection(scope)
    except Exception as error:
        log_internal_error(error)
        await app(scope, receive, send)
        return
    state.connections[id(connection)] = connection

    async def observed_receive() -> Message:
        message = await receive()
        if message["type"] == "websocket.receive":
            connection.count("receive")
        return message

    async def observed_send(message: Message) -> None:
        await send(message)
        if message["type"] == "websocket.send":
            connection.count("transmit")

    with trace.use_span(connection.span, record_exception=False, set_status_on_exception=False):
        try:
            await app(scope, observed_receive, observed_send)
        except BaseException as error:
            connection.close(error)
            raise
        connection.close()


def observe_connections() -> None:
    """Have open connections and messages counted at every export; called once."""
    observe(catalogue.WEBSOCKET_ACTIVE, _count_open)
    observe(catalogue.WEBSOCKET_MESSAGES, _count_messages)


def _labels(route: str | None) -> dict[str, str]:
    return {} if route is None else {catalogue.ROUTE.key: route}


def _count_open() -> Iterable[tuple[float, Labels]]:
    now = Counter(route_label(connection.scope) for connection in list(state.connections.values()))
    for route in {*state.connection_routes, *now}:
        yield now[route], _labels(route)


def _count_messages() -> Iterable[tuple[float, Labels]]:
    for (route, direction), count in list(state.messages.items()):
        yield count, {**_labels(route), catalogue.DIRECTION.key: direction}
