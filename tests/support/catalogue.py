"""Every instrument of the catalogue, recorded by the SDK alone."""

from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import Meter, Observation
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from otel_tutor.catalogue import CATALOGUE, Instrument, Kind
from otel_tutor.pipeline.upstream import histogram_aggregation

__all__ = ["record_every_instrument"]


def record_every_instrument(endpoint: str, *more: Instrument) -> None:
    """One measurement of each row of the catalogue, with all of its attributes, by the service `catalogue`."""
    exporter = OTLPMetricExporter(endpoint=endpoint, preferred_aggregation={Histogram: histogram_aggregation()})
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    resource = Resource({"service.name": "catalogue", "service.instance.id": "1"})
    provider = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
    for row in (*CATALOGUE, *more):
        _record(provider.get_meter("test"), row)
    provider.shutdown()


def _record(meter: Meter, row: Instrument) -> None:
    attributes = {attribute.key: "some" for attribute in row.attributes}
    observed = [lambda _: [Observation(1, attributes)]]
    if row.kind is Kind.COUNTER:
        meter.create_counter(row.name, row.unit, row.description).add(1, attributes)
    elif row.kind is Kind.HISTOGRAM:
        meter.create_histogram(row.name, row.unit, row.description).record(1, attributes)
    elif row.kind is Kind.OBSERVABLE_COUNTER:
        meter.create_observable_counter(row.name, observed, row.unit, row.description)
    elif row.kind is Kind.OBSERVABLE_GAUGE:
        meter.create_observable_gauge(row.name, observed, row.unit, row.description)
    else:
        meter.create_observable_up_down_counter(row.name, observed, row.unit, row.description)
