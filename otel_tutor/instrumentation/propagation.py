"""The context of a request: what its caller's headers carry by the propagators of `OTEL_PROPAGATORS`, and its own span."""

from collections.abc import Callable, Iterable
from typing import Final

from opentelemetry import context, propagate
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import Span

from otel_tutor.recording.guard import attempt
from otel_tutor.recording.origin import ENDPOINT, SPAN
from otel_tutor.recording.state import state

__all__ = ["context_inside", "remote_context", "request_span"]

Headers = Iterable[tuple[bytes, bytes]]


class _Headers(Getter[Headers]):
    """Reads ASGI's headers: pairs of bytes, a name in any case and as often as the client sent it."""

    def get(self, carrier: Headers, key: str) -> list[str] | None:
        """The values of a header, joined by commas as RFC 9110 has it for a header that is repeated.

        So a repeated traceparent is none at all, as W3C trace context wants it.
        """
        name = key.lower().encode("latin-1", "replace")
        values = [value.decode("latin-1") for header, value in carrier if header.lower() == name]
        return [",".join(values)] if values else None

    def keys(self, carrier: Headers) -> list[str]:
        """The names of all headers, in lower case; some propagators look for a prefix."""
        return [header.decode("latin-1").lower() for header, _ in carrier]


_HEADERS: Final = _Headers()
# Headers of W3C and B3. Other propagators look for headers by a prefix.
_EXACT: Final = {"traceparent", "tracestate", "baggage", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags"}
_EMPTY: Final = Context()
_REQUEST: Final = "otel_tutor.request"  # key of the context


def remote_context(headers: Headers) -> Context:
    """The context that a caller's headers carry; an empty one where they carry none, or none that can be read."""
    fields = _fields()
    for name, _ in headers:
        if not fields or name.lower() in fields:
            break
    else:
        return _EMPTY  # most requests carry none, and to extract nothing takes the time of a short query
    return attempt(propagate.extract, headers, Context(), _HEADERS) or Context()


def _fields() -> frozenset[bytes]:
    """The headers without which the propagators extract nothing; empty where that is not known of one of them."""
    propagator = propagate.get_global_textmap()
    known: tuple[object, frozenset[bytes]] = state.propagation
    if known[0] is not propagator:
        fields = propagator.fields
        known = state.propagation = propagator, frozenset(map(str.encode, fields)) if fields <= _EXACT else frozenset()
    return known[1]


def context_inside(span: Span, remote: Context, endpoint: Callable[[], object]) -> Context:
    """What code inside a request sees: what surrounds it here, then what its caller sent, its span and its route."""
    return Context({**context.get_current(), **remote, SPAN: span, _REQUEST: span, ENDPOINT: endpoint})


def request_span() -> Span | None:
    """The server span of the observed request that the caller is inside, ended or not."""
    span = context.get_value(_REQUEST)
    return span if isinstance(span, Span) else None
