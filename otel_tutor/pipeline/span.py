"""A span that costs little while it is recorded: what an exporter needs of it is made when an exporter asks.

It has the methods of the API and the properties of the SDK's spans, by the same specification. The SDK's own span checks and
copies each attribute on the request's path, which is most of what it costs:
https://opentelemetry.io/docs/specs/otel/trace/sdk/
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace import Span as ApiSpan

from otel_tutor.pipeline.span_parts import PLAIN, Latest, is_plain, valid_time
from otel_tutor.pipeline.upstream import interruptible_attributes
from otel_tutor.recording.guard import never_raise
from otel_tutor.recording.outcome import described, stack_trace
from otel_tutor.recording.values import to_name, to_text

if TYPE_CHECKING:
    from otel_tutor.pipeline.tracer import LightTracer

__all__ = ["LightSpan"]

_UNSET: Final = Status(StatusCode.UNSET)

_log: Final = logging.getLogger("opentelemetry.sdk.trace")  # whose lines are limited to one a minute


class LightSpan(ApiSpan, ReadableSpan):
    """A recording span. Attributes of plain types stay in a dictionary until the span is exported."""

    # Not properties, which an exporter of thousands of spans would call ten times for each.
    __slots__ = (
        "_guard",
        "_happened",
        "_linked",
        "_owner",
        "_values",
        "context",
        "end_time",
        "kind",
        "name",
        "parent",
        "start_time",
        "status",
    )

    name: str
    context: SpanContext
    parent: SpanContext | None
    kind: SpanKind
    start_time: int  # nanoseconds since 1970
    end_time: int | None  # None while it is open
    status: Status

    def __init__(  # the base makes a resource where it is given none, which costs more than the span
        self,
        owner: "LightTracer",
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        kind: SpanKind,
        attributes: Mapping[str, Any] | None,
        start_time: int,
    ) -> None:
        self._owner = owner
        self.name = name
        self.context = context
        self.parent = parent
        self.kind = kind
        self.start_time = start_time
        self.end_time = None
        self.status = _UNSET
        self._guard = threading.RLock()  # a signal handler may record in the span that its own thread records in
        self._values: dict[str, Any] | BoundedAttributes = {}
        self._happened: Latest[Event] | None = None  # events
        self._linked: Latest[Link] | None = None
        if attributes:
            is_short = len(attributes) <= owner.count_limit
            if is_short and kind is SpanKind.SERVER and type(attributes) is dict:
                self._values = attributes  # of a request: made in this package, of plain types, for this span
            elif is_short and is_plain(attributes):
                self._values = dict(attributes)
            else:
                self.set_attributes(attributes)

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Those that are recorded, within the limits."""
        return MappingProxyType(self._limited())

    @property
    def dropped_attributes(self) -> int:
        """How many there are no more."""
        values = self._values
        return values.dropped if isinstance(values, BoundedAttributes) else 0

    @property
    def events(self) -> Sequence[Event]:
        """What happened in it."""
        return () if self._happened is None else tuple(self._happened)

    @property
    def dropped_events(self) -> int:
        """How many events there are no more."""
        return self._happened.dropped if self._happened else 0

    @property
    def links(self) -> Sequence[Link]:
        """The spans it is linked to."""
        return () if self._linked is None else tuple(self._linked)

    @property
    def dropped_links(self) -> int:
        """How many links there are no more."""
        return self._linked.dropped if self._linked else 0

    @property
    def resource(self) -> Resource:
        """What records it."""
        recorded_by: Resource = self._owner.resource
        return recorded_by

    @property
    def instrumentation_scope(self) -> InstrumentationScope:
        """The tracer's."""
        return self._owner.scope

    @property
    def length_limit(self) -> int | None:
        """Characters of a text in its attributes."""
        return self._owner.length_limit

    def plain_attributes(self) -> dict[str, Any] | None:
        """Its attributes, not yet limited, of plain types; None where there is more in it: lists, events, links."""
        values = self._values
        return None if self._happened or self._linked or type(values) is not dict else values

    def to_json(self, indent: int | None = 4) -> str:
        """As the SDK's spans."""
        parts = ("name", "context", "parent", "resource", "events", "links", "kind", "status", "start_time", "end_time")
        plain = ReadableSpan(**{part: getattr(self, part) for part in parts}, attributes=dict(self._limited()))
        return str(plain.to_json(indent))

    def _limited(self) -> Mapping[str, Any]:
        values, longest = self._values, self._owner.length_limit
        if longest is None or isinstance(values, BoundedAttributes):
            return values
        for value in tuple(values.values()):
            if type(value) is str and len(value) > longest:
                return {key: text[:longest] if type(text) is str else text for key, text in tuple(values.items())}
        return values

    def get_span_context(self) -> SpanContext:
        """Its ids."""
        return self.context

    def is_recording(self) -> bool:
        """Whether it has not ended."""
        return self.end_time is None

    @never_raise
    def set_attribute(self, key: str, value: Any) -> None:
        """Record an attribute in the place of one with the same key."""
        with self._guard:
            if self._is_late("attribute"):
                return
            values = self._values
            is_plain = type(values) is dict and type(value) in PLAIN and type(key) is str and key
            if is_plain and (values.pop(key, None) is not None or len(values) < self._owner.count_limit):
                values[key] = value  # the last, as the SDK has it
            else:
                self._bounded()[key] = value

    @never_raise
    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Record attributes in the place of those with the same keys."""
        with self._guard:
            values = self._values
            fits = type(values) is dict and len(values) + len(attributes) <= self._owner.count_limit
            if fits and self.end_time is None and is_plain(attributes) and values.keys().isdisjoint(attributes):
                values.update(attributes)
                return
            for key, value in attributes.items():
                self.set_attribute(key, value)

    @never_raise
    def add_event(self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None) -> None:
        """Record that something happened, in nanoseconds since 1970; now, without a timestamp."""
        limits = self._owner.limits
        bounded = self._bounds(limits.max_event_attributes, attributes)
        event = Event(name=to_name(name), attributes=bounded, timestamp=valid_time(timestamp))
        with self._guard:
            if not self._is_late("event"):
                if self._happened is None:
                    self._happened = Latest((), limits.max_events)
                self._happened.append(event)

    @never_raise
    def add_link(self, context: SpanContext, attributes: Mapping[str, Any] | None = None) -> None:
        """Record that it has to do with another span."""
        if not isinstance(context, SpanContext) or not (context.is_valid or attributes or context.trace_state):
            return
        limits = self._owner.limits
        link = Link(context, self._bounds(limits.max_link_attributes, attributes))
        with self._guard:
            if not self._is_late("link"):
                if self._linked is None:
                    self._linked = Latest((), limits.max_links)
                self._linked.append(link)

    @never_raise
    def update_name(self, name: str) -> None:
        """Give it another name."""
        with self._guard:
            if not self._is_late("name"):
                self.name = to_name(name)

    @never_raise
    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """State how it went. OK is final, and UNSET changes nothing."""
        if not isinstance(status, Status):
            status = Status(status, description if description is None else to_text(description))
        with self._guard:
            is_set = status.status_code in {StatusCode.OK, StatusCode.ERROR}
            if is_set and self.status.status_code is not StatusCode.OK and not self._is_late("status"):
                self.status = status

    @never_raise
    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Record an exception as an event of the semantic conventions."""
        event = {**described(exception), "exception.stacktrace": stack_trace(exception), "exception.escaped": str(escaped)}
        self.add_event("exception", {**event, **(attributes or {})}, timestamp)

    def conclude(self, name: str | None, attributes: dict[str, Any]) -> None:
        """Give it its last name, if it gets another, and add attributes of plain types."""
        with self._guard:
            values = self._values
            if self.end_time is None and type(values) is dict and len(values) + len(attributes) <= self._owner.count_limit:
                values.update(attributes)
                self.name = name or self.name
                return
            self.set_attributes(attributes)
            if name:
                self.update_name(name)

    def end(self, end_time: int | None = None) -> None:
        """End it, in nanoseconds since 1970; now, without a time. Then it is exported."""
        with self._guard:
            if self._is_late("end"):
                return
            self.end_time = valid_time(end_time)
        self._owner.on_end(self)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        """End it, as failed if an exception left the block."""
        if error is not None and self.is_recording():
            self.record_exception(error, escaped=True)
            self.set_status(StatusCode.ERROR, f"{type(error).__name__}: {to_text(error) or ''}")
        super().__exit__(kind, error, where)

    def _is_late(self, what: str) -> bool:
        if self.end_time is None:
            return False
        _log.warning("Setting %s on ended span.", what)
        return True

    def _bounded(self) -> Any:
        values = self._values
        if not isinstance(values, BoundedAttributes):
            owner, length_limit = self._owner, self._owner.length_limit
            made = BoundedAttributes(owner.limits.max_span_attributes, values, immutable=False, max_value_len=length_limit)
            if self._values is values:  # a signal handler may have been here meanwhile
                self._values = interruptible_attributes(made)
        return self._values

    def _bounds(self, count: int | None, attributes: Mapping[str, Any] | None) -> BoundedAttributes:
        return BoundedAttributes(count, attributes, max_value_len=self._owner.limits.max_attribute_length)
