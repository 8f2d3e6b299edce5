"""The three signals as records that can be sent one by one: what a batch consists of, and how its records are encoded."""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, Protocol, TypeVar

from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import AggregationTemporality, Metric, MetricsData, ResourceMetrics, ScopeMetrics
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, Status

from otel_tutor.pipeline.changed_span import changed
from otel_tutor.pipeline.encoding import encode_light
from otel_tutor.pipeline.joining import join_logs, join_metrics, join_spans
from otel_tutor.pipeline.starts import Starts
from otel_tutor.pipeline.turns import in_turns
from otel_tutor.pipeline.values import valid_attributes, valid_name, valid_scope, valid_text
from otel_tutor.recording.state import state

__all__ = ["Logs", "Metrics", "Signal", "Spans", "family_of"]

Item = TypeVar("Item")

# What other libraries measure of calls to models, where it is measured here, from their spans, once for all of them.
_COUNTED_HERE: Final = re.compile(r"gen_ai\.client\.(operation\.(duration|time_to_first_chunk)|token\.usage|inference\.)")
_PART: Final = 16  # records that are encoded in a turn
_CUT_BEFORE: Final = sys.maxsize  # the SDK cuts the attributes of a span as they are set


class Signal(Protocol):
    """How the records of one signal are sent."""

    @property
    def name(self) -> str:
        """What OpenTelemetry calls it."""

    @property
    def record(self) -> str:
        """What one of its records is called."""

    @property
    def response(self) -> Any:
        """The type of the receiver's answers."""

    @property
    def is_kept(self) -> bool:
        """Whether records wait for a receiver that is away; newer ones take the place of those that do not."""

    def client(self, channel: Any) -> Any:
        """What sends requests over a gRPC channel."""

    def split(self, data: Any) -> Sequence[Any]:
        """What an exporter is given, as records; their values are valid as far as they can be."""

    def join(self, records: Sequence[Any]) -> Any:
        """Records as an exporter is given them."""

    def encode(self, records: Sequence[Any]) -> Any:
        """The request for these records. Raises whatever the encoder raises for a record that it cannot encode."""

    def taken(self) -> None:
        """Note that all of what was split last has been taken."""

    def rejected(self, response: Any) -> int:
        """How many records of a request the receiver says it left out."""

    def describe(self, record: Any) -> str:
        """Which record it is, without anything that a student may have written."""


class Spans:
    """Spans; the description of a status has at most `limit` characters."""

    name: Final = "traces"
    record: Final = "span"
    response: Final = ExportTraceServiceResponse
    is_kept: Final = True

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def client(self, channel: Any) -> Any:
        """What sends requests over a gRPC channel."""
        return TraceServiceStub(channel)  # type: ignore[no-untyped-call]  # generated without types

    def split(self, data: Sequence[ReadableSpan]) -> Sequence[ReadableSpan]:
        """The spans as they are."""
        return data

    def join(self, records: Sequence[ReadableSpan]) -> Sequence[ReadableSpan]:
        """The spans, with valid values."""
        return [self._valid(span) for span in records]

    def encode(self, records: Sequence[ReadableSpan]) -> Any:
        """A request for these spans, with valid values."""
        request, others = encode_light(records)
        if others:
            join_spans(request, encode_spans(self.join(others)))
        return request

    def taken(self) -> None:
        """Nothing is kept of them."""

    def rejected(self, response: Any) -> int:
        """How many spans the receiver left out."""
        return int(response.partial_success.rejected_spans)

    def describe(self, record: ReadableSpan) -> str:
        """Its name: the app's own words, and no student's."""
        return f"{valid_name(record.name)[:100]!r}"

    def _valid(self, span: ReadableSpan) -> ReadableSpan:
        limit = self._limit
        before = (span.name, span.status, span.attributes, span.events, span.links, span.instrumentation_scope)
        name, status, attributes, events, links, scope = before
        description = status.description
        if description is not None and (text := valid_text(description, limit)) != description:
            status = Status(status.status_code, text)
        after = (
            valid_name(name),
            status,
            valid_attributes(attributes, _CUT_BEFORE),
            _valid_all(events, _valid_event),
            _valid_all(links, _valid_link),
            valid_scope(scope, limit),
        )
        unchanged = after[0] == name and all(new is old for new, old in zip(after[1:], before[1:], strict=True))
        names = ("name", "status", "attributes", "events", "links", "instrumentation_scope")
        return span if unchanged else changed(span, **dict(zip(names, after, strict=True)))


def family_of(scope: InstrumentationScope | None) -> str:
    """The first word of a scope's name: a library may name the scopes of its spans and of its metrics differently."""
    return scope.name.partition(".")[0] if scope is not None else ""


def _parts(records: Sequence[Item]) -> Iterator[Sequence[Item]]:
    return (records[start : start + _PART] for start in range(0, len(records), _PART))


def _valid_all(items: Sequence[Item], make_valid: Callable[[Item], Item]) -> Sequence[Item]:
    valid = [make_valid(item) for item in items]
    return items if all(new is old for new, old in zip(valid, items, strict=True)) else valid


def _valid_event(event: Event) -> Event:
    name, attributes = valid_name(event.name), valid_attributes(event.attributes, _CUT_BEFORE)
    if name == event.name and attributes is event.attributes:
        return event
    return Event(name, attributes, event.timestamp)


def _valid_link(link: Link) -> Link:
    attributes = valid_attributes(link.attributes, _CUT_BEFORE)
    return link if attributes is link.attributes else Link(link.context, attributes)


class Logs:
    """Log records; `ValidLogs` has made their values valid as they were written."""

    name: Final = "logs"
    record: Final = "log record"
    response: Final = ExportLogsServiceResponse
    is_kept: Final = True

    def client(self, channel: Any) -> Any:
        """What sends requests over a gRPC channel."""
        return LogsServiceStub(channel)  # type: ignore[no-untyped-call]  # generated without types

    def split(self, data: Sequence[ReadableLogRecord]) -> Sequence[ReadableLogRecord]:
        """The log records as they are."""
        return data

    def join(self, records: Sequence[ReadableLogRecord]) -> Sequence[ReadableLogRecord]:
        """The log records as they are."""
        return records

    def encode(self, records: Sequence[ReadableLogRecord]) -> Any:
        """A request for these log records."""
        request = ExportLogsServiceRequest()
        for part in in_turns(_parts(records)):
            join_logs(request, encode_logs(part))
        return request

    def taken(self) -> None:
        """Nothing is kept of them."""

    def rejected(self, response: Any) -> int:
        """How many log records the receiver left out."""
        return int(response.partial_success.rejected_log_records)

    def describe(self, record: ReadableLogRecord) -> str:
        """Its logger; the body may be what a student wrote."""
        return f"of logger {record.instrumentation_scope.name[:100] if record.instrumentation_scope else ''!r}"


@dataclass(frozen=True, slots=True, eq=False)
class _Family:
    """A metric and where it belongs; equal to itself only."""

    resource: ResourceMetrics
    scope: ScopeMetrics
    metric: Metric


def _is_cumulative(data: Any) -> bool:
    """Whether its points count from a start: not those of gauges, nor of sums that go down, nor deltas."""
    if getattr(data, "aggregation_temporality", None) is not AggregationTemporality.CUMULATIVE:
        return False
    return getattr(data, "is_monotonic", True)


class Metrics:
    """Data points; descriptions and attributes have at most `limit` characters."""

    name: Final = "metrics"
    record: Final = "data point"
    response: Final = ExportMetricsServiceResponse
    is_kept: Final = False

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._starts = Starts()

    def client(self, channel: Any) -> Any:
        """What sends requests over a gRPC channel."""
        return MetricsServiceStub(channel)  # type: ignore[no-untyped-call]  # generated without types

    def split(self, data: MetricsData) -> list[tuple[_Family, Any]]:
        """Each data point with its metric; their values are valid. The data is used up."""
        self._starts.offer()
        families = list(self._families(data))
        points = ((family, point) for family in families for point in family.metric.data.data_points)
        records = [(family, self._valid_point(family, point)) for family, point in in_turns(points)]
        for family in families:
            if isinstance(used_up := family.metric.data.data_points, list):
                used_up.clear()  # thousands of them, freed at once, would hold the interpreter for milliseconds
        return records

    def join(self, records: Sequence[tuple[_Family, Any]]) -> MetricsData:
        """Data points in their metrics, those in their scopes, those in their resources."""
        resources: dict[int, tuple[ResourceMetrics, dict[Any, tuple[ScopeMetrics, list[Metric]]]]] = {}
        for family, members in groupby(records, key=itemgetter(0)):
            data = replace(family.metric.data, data_points=[point for _, point in members])
            _, scopes = resources.setdefault(id(family.resource), (family.resource, {}))
            _, metrics = scopes.setdefault(family.scope.scope, (family.scope, []))
            metrics.append(replace(family.metric, data=data))
        return MetricsData(
            [
                replace(resource, scope_metrics=[replace(scope, metrics=metrics) for scope, metrics in scopes.values()])
                for resource, scopes in resources.values()
            ]
        )

    def encode(self, records: Sequence[tuple[_Family, Any]]) -> Any:
        """A request for these data points."""
        request = ExportMetricsServiceRequest()
        for part in in_turns(_parts(records)):
            join_metrics(request, encode_metrics(self.join(part)))
        return request

    def taken(self) -> None:
        """What was split last has been taken."""
        self._starts.taken()

    def rejected(self, response: Any) -> int:
        """How many data points the receiver left out."""
        return int(response.partial_success.rejected_data_points)

    def describe(self, record: tuple[_Family, Any]) -> str:
        """The name of its metric."""
        return f"of metric {record[0].metric.name!r}"

    def _families(self, data: MetricsData) -> Iterator[_Family]:
        for resource in data.resource_metrics:
            for scope in resource.scope_metrics:
                valid = replace(scope, scope=valid_scope(scope.scope, self._limit) or scope.scope)
                for metric in scope.metrics:
                    if _COUNTED_HERE.match(metric.name) and family_of(scope.scope) in state.counted_scopes:
                        continue
                    description = valid_text(metric.description or "", self._limit)
                    yield _Family(resource, valid, replace(metric, description=description))

    def _valid_point(self, family: _Family, point: Any) -> Any:
        changed_fields: dict[str, Any] = {}
        attributes = valid_attributes(point.attributes, self._limit)
        exemplars = _valid_all(point.exemplars, self._valid_exemplar)
        if attributes is not point.attributes or exemplars is not point.exemplars:
            changed_fields = {"attributes": attributes, "exemplars": exemplars}
        if _is_cumulative(family.metric.data):
            scope = family.scope.scope
            changed_fields["start_time_unix_nano"] = self._starts.of(scope.name, family.metric.name, point)
        return replace(point, **changed_fields) if changed_fields else point

    def _valid_exemplar(self, exemplar: Exemplar) -> Exemplar:
        attributes = valid_attributes(exemplar.filtered_attributes, self._limit)
        return exemplar if attributes is exemplar.filtered_attributes else replace(exemplar, filtered_attributes=attributes)
