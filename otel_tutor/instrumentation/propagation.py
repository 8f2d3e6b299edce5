"""The context of a request: what its caller's headers carry by the propagators of `OTEL_PROPAGATORS`, and its own span."""

from collections.abc import Callable, Iterable
from typing import Final

from opentelemetry import context, propagate, trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import Span

from otel_tutor.recording.guard import attempt
from otel_tutor.recording.origin import ENDPOINT

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
_REQUEST: Final = "otel_tutor.request"  # key of the context


def remote_context(headers: Headers) -> Context:
    """The context that a caller's headers carry; an empty one where they carry none, or none that can be read."""
    return attempt(propagate.extract, headers, Context(), _HEADERS) or Context()


def context_inside(span: Span, remote: Context, endpoint: Callable[[], object]) -> Context:
    """What code inside a request sees: what surrounds it here, then what its caller sent, its span and its route."""
    own = {_REQUEST: span, ENDPOINT: endpoint}
    return trace.set_span_in_context(span, Context({**context.get_current(), **remote, **own}))


def request_span() -> Span | None:
    """The server span of the observed request that the caller is inside, ended or not."""
    span = context.get_value(_REQUEST)
    return span if isinstance(span, Span) else None
