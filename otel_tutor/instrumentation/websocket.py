"""One WebSocket connection becomes one server span and one duration; its messages are counted."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from opentelemetry.trace import SpanKind, StatusCode
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from otel_tutor import catalogue
from otel_tutor.instrumentation.outcome import INTERNAL_ERROR, failure_of_connection
from otel_tutor.instrumentation.propagation import context_inside, remote_context
from otel_tutor.instrumentation.route import DESTINATION, Destination
from otel_tutor.recording import clock
from otel_tutor.recording.guard import attempt, log_internal_error
from otel_tutor.recording.instruments import Labels, observe, recorder
from otel_tutor.recording.operation import Attached, tracer
from otel_tutor.recording.outcome import record_exception
from otel_tutor.recording.state import state
from otel_tutor.recording.values import valid_utf8

__all__ = ["observe_connection", "observe_connections"]

_NAME: Final = "WEBSOCKET"


class _Connection:
    """What is known of a connection while it is open."""

    __slots__ = ("close_code", "context", "destination", "span", "start")

    def __init__(self, scope: Scope, app: ASGIApp) -> None:
        self.start = clock.now()
        self.destination = Destination(scope, app)
        self.close_code: object = None  # the one that the app closed with
        parent = remote_context(scope["headers"])
        attributes = {"url.path": valid_utf8(scope["path"]), "url.scheme": scope.get("scheme", "ws")}
        self.span = tracer().start_span(_NAME, context=parent, kind=SpanKind.SERVER, attributes=attributes)
        self.context = context_inside(self.span, parent, self.destination.label)

    def note_received(self, message: Message) -> None:
        """Count a message of the client."""
        if message["type"] == "websocket.receive":
            state.messages[self.destination.label(), "receive"] += 1

    def note_sent(self, message: Message) -> None:
        """Count a message of the app, or keep the code it closes with."""
        if message["type"] == "websocket.send":
            state.messages[self.destination.label(), "transmit"] += 1
        elif message["type"] == "websocket.close":
            self.close_code = message.get("code")

    def close(self, error: BaseException | None = None) -> None:
        """Record the connection, once, when the app has left it; the span ends whatever fails."""
        state.connections.pop(id(self), None)
        elapsed = clock.now() - self.start
        try:
            route = attempt(self.destination.label)
            state.connection_routes.add(route)
            attempt(self._describe_span, route, failure_of_connection(error))
            attempt(self._measure, elapsed, route)
        finally:
            attempt(self.span.end)

    def _describe_span(self, route: str | None, failure: BaseException | None) -> None:
        if route is not None:
            self.span.update_name(f"{_NAME} {route}")
            self.span.set_attribute(catalogue.ROUTE.key, route)
        if failure is not None:
            self.span.set_attribute("error.type", type(failure).__qualname__)
            self.span.set_status(StatusCode.ERROR)
            record_exception(self.span, failure)
        elif self.close_code == INTERNAL_ERROR:
            self.span.set_attribute("error.type", str(INTERNAL_ERROR))
            self.span.set_status(StatusCode.ERROR)

    def _measure(self, elapsed: float, route: str | None) -> None:
        recorder(catalogue.WEBSOCKET_DURATION)(elapsed, _labels(route), self.context)


async def observe_connection(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Have `app` serve a WebSocket under observation."""
    try:
        connection = _Connection(scope, app)
    except Exception as error:
        log_internal_error(error)
        await app(scope, receive, send)
        return
    scope[DESTINATION] = connection.destination
    state.connections[id(connection)] = connection

    async def observed_receive() -> Message:
        message = await receive()
        attempt(connection.note_received, message)
        return message

    async def observed_send(message: Message) -> None:
        await send(message)
        attempt(connection.note_sent, message)

    with Attached(connection.context):
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
    now = Counter(connection.destination.label() for connection in list(state.connections.values()))
    for route in {*state.connection_routes, *now}:
        yield now[route], _labels(route)


def _count_messages() -> Iterable[tuple[float, Labels]]:
    for (route, direction), count in list(state.messages.items()):
        yield count, {**_labels(route), catalogue.DIRECTION.key: direction}
