"""Requests of light spans, made of parts that are encoded once.

A service has few names of spans, and few values of most attributes. OpenTelemetry's encoder builds each of them again for
each span, and takes longer for a span than recording it takes. It encodes here what is rare: events, links, lists, long
texts. Protobuf joins parts of a message that are encoded apart:
https://protobuf.dev/programming-guides/encoding/#last-one-wins
"""

import functools
import sys
from collections.abc import Sequence
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, SpanFlags, Status
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from otel_tutor.pipeline.span import LightSpan
from otel_tutor.pipeline.turns import in_turns
from otel_tutor.pipeline.values import is_valid

__all__ = ["encode_light"]

_MOST: Final = 4096  # parts that are kept, about 1 MB of them
_LONGEST: Final = 200  # characters of a text that is kept
_LARGEST: Final = sys.maxsize  # characters of a text that is not: its limit is the span's
_FIELDS: Final = {str: "string_value", bool: "bool_value", int: "int_value", float: "double_value"}
_KINDS: Final = {kind: Span.SpanKind.Value(f"SPAN_KIND_{kind.name}") for kind in SpanKind}
_STATUSES: Final = {code: Status.StatusCode.Value(f"STATUS_CODE_{code.name}") for code in StatusCode}


def encode_light(spans: Sequence[ReadableSpan]) -> tuple[ExportTraceServiceRequest, list[ReadableSpan]]:
    """A request of the light spans among them, which are of one tracer, and the spans that another encoder has to take."""
    request, of_scope, left = ExportTraceServiceRequest(), None, []
    for span in in_turns(spans):
        parts = _parts(span) if type(span) is LightSpan else None
        if parts is None:
            left.append(span)
            continue
        if of_scope is None:  # its resource and its scope are those of all
            request = encode_spans([span])
            of_scope = request.resource_spans[0].scope_spans[0]
            of_scope.ClearField("spans")
        context, parent = span.context, span.parent
        encoded = of_scope.spans.add(
            trace_id=context.trace_id.to_bytes(16, "big"),
            span_id=context.span_id.to_bytes(8, "big"),
            parent_span_id=b"" if parent is None else parent.span_id.to_bytes(8, "big"),
            start_time_unix_nano=span.start_time,
            end_time_unix_nano=span.end_time,
        )
        encoded.MergeFromString(b"".join(parts))
    return request, left


def _parts(span: LightSpan) -> list[bytes] | None:
    """All of a span but its ids and times; None where there is something rare in it."""
    attributes, status, parent = span.plain_attributes(), span.status, span.parent
    if attributes is None or status.description is not None or span.context.trace_state:
        return None
    limit, short = span.length_limit, _LONGEST if span.length_limit is None else min(_LONGEST, span.length_limit)
    try:
        parts = [_head(span.name, span.kind, status.status_code, parent is not None and parent.is_remote)]
        for key, value in attributes.items():
            kind = type(value)
            if kind is float or (kind is str and len(value) > short):
                if kind is str and limit is not None and len(value) > limit:
                    return None
                parts.append(_encode(key, value))
            else:
                parts.append(_attribute(key, value))
    except _RareError:
        return None
    return parts


class _RareError(Exception):
    """OpenTelemetry's encoder has to encode it."""


def _encode(key: str, value: Any) -> bytes:
    if not is_valid(key, _LARGEST) or not is_valid(value, _LARGEST):
        raise _RareError
    attribute = KeyValue(key=key, value=AnyValue(**{_FIELDS[type(value)]: value}))
    encoded: bytes = Span(attributes=[attribute]).SerializeToString()
    return encoded


_attribute: Final = functools.lru_cache(maxsize=_MOST, typed=True)(_encode)  # typed: True, 1 and 1.0 are equal


@functools.lru_cache(maxsize=_MOST)
def _head(name: str, kind: SpanKind, status: StatusCode, is_remote: bool) -> bytes:
    """What spans of a name have in common; is_remote: the parent."""
    if not is_valid(name, _LONGEST):
        raise _RareError
    flags: Any = SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
    if is_remote:
        flags |= SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
    encoded: bytes = Span(
        name=name, kind=_KINDS[kind], status=Status(code=_STATUSES[status]), flags=flags
    ).SerializeToString()
    return encoded
