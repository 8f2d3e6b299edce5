"""Metrics as records that can be sent one by one: each data point with its metric."""

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.proto.metrics.v1.metrics_pb2 import DataPointFlags
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Metric,
    MetricsData,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID

from otel_tutor.pipeline.joining import join_metrics
from otel_tutor.pipeline.signals import family_of, parts_of, valid_all
from otel_tutor.pipeline.starts import Starts
from otel_tutor.pipeline.turns import in_turns
from otel_tutor.pipeline.values import made_valid, valid_attributes, valid_scope, valid_text
from otel_tutor.recording.state import state

__all__ = ["Metrics"]

# What other libraries measure of calls to models, where it is measured here, from their spans, once for all of them.
_COUNTED_HERE: Final = re.compile(r"gen_ai\.client\.(operation\.(duration|time_to_first_chunk)|token\.usage|inference\.)")
_NO_VALUE: Final = DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK


@dataclass(frozen=True, slots=True, eq=False)
class _Family:
    """A metric and where it belongs; equal to itself only."""

    resource: ResourceMetrics
    scope: ScopeMetrics
    metric: Metric


def _ended(metric: Any) -> Iterator[Any]:
    """A metric for each of its points, which says that there is no value any more."""
    kind = metric.WhichOneof("data")
    for point in getattr(metric, kind).data_points:
        single = type(metric)()
        single.CopyFrom(metric)
        points = getattr(single, kind).data_points
        del points[:]
        points.add(attributes=point.attributes, time_unix_nano=point.time_unix_nano, flags=_NO_VALUE)
        yield single


def _is_gauge(data: Any) -> bool:
    return isinstance(data, Gauge) or not getattr(data, "is_monotonic", True)


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
        records = [(family, made_valid(partial(self._valid_point, family), point)) for family, point in in_turns(points)]
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
        for part in in_turns(parts_of(records)):
            join_metrics(request, encode_metrics(self.join(part)))
        return request

    def taken(self) -> None:
        """What was split last has been taken."""
        self._starts.taken()

    def farewell(self, records: Sequence[tuple[_Family, Any]]) -> Any:
        """What ends the gauges among these for the processes that this one follows: it has their place under its own name.

        Each point is in a metric by itself, since the Collector's Prometheus exporter looks at the first one only.
        """
        instances = [instance for instance, end in state.predecessors.items() if time.monotonic() < end]
        if not instances:
            return None
        ends = self.encode([record for record in records if _is_gauge(record[0].metric.data)])
        for metrics in (scope.metrics for resource in ends.resource_metrics for scope in resource.scope_metrics):
            singles = [single for metric in metrics for single in _ended(metric)]
            del metrics[:]
            metrics.extend(singles)
        request = ExportMetricsServiceRequest()
        for instance in instances:
            for resource in ends.resource_metrics:
                for attribute in resource.resource.attributes:
                    if attribute.key == SERVICE_INSTANCE_ID:
                        attribute.value.string_value = instance
            request.resource_metrics.extend(ends.resource_metrics)
        return request

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
        exemplars = valid_all(point.exemplars, self._valid_exemplar)
        if attributes is not point.attributes or exemplars is not point.exemplars:
            changed_fields = {"attributes": attributes, "exemplars": exemplars}
        if _is_cumulative(family.metric.data):
            scope = family.scope.scope
            changed_fields["start_time_unix_nano"] = self._starts.of(scope.name, family.metric.name, point)
        return replace(point, **changed_fields) if changed_fields else point

    def _valid_exemplar(self, exemplar: Exemplar) -> Exemplar:
        attributes = valid_attributes(exemplar.filtered_attributes, self._limit)
        return exemplar if attributes is exemplar.filtered_attributes else replace(exemplar, filtered_attributes=attributes)
