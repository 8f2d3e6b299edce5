"""What an app records in one call: by us, through opentelemetry-api, and in prometheus_client.

Each is measured outside of a trace and inside a sampled span, where measurements of OpenTelemetry get exemplars.
"""

import functools
import os
from collections.abc import Callable, Mapping
from contextlib import nullcontext

from opentelemetry import trace
from opentelemetry.sdk import metrics as kinds

from tests.bench.comparison import whole_row
from tests.bench.instruments import MODEL, SUBJECTS, ByApi, ByPrometheus, of_inferences, of_queries
from tests.bench.processes import Effort, Variant, measure
from tests.bench.registry import Registry
from tests.bench.table import Row
from tests.bench.trial import Sink, Trial, ours, plain_sdk

__all__ = ["rows"]

EACH = 1000  # calls in a round
PEERS = {
    "api": ("opentelemetry-api", 0.4),
    "buckets": ("the same, explicit buckets", None),
    "client": ("prometheus_client", 2.0),
}


def rows(effort: Effort) -> list[Row]:
    """The rows of updates."""
    found = []
    for where in ("outside", "inside"):
        for kind, what in (("query", "track_rag_query"), ("inference", "track_model_inference")):
            variants = [Variant(__name__, f"{kind}_{peer}", environ={"WHERE": where}) for peer in ("ours", *PEERS)]
            times = measure(variants, effort)
            title = what if where == "outside" else f"{what}, in a sampled span"
            for peer, (name, aim) in PEERS.items():
                found.append(whole_row(title, name, times, (f"{kind}_ours", f"{kind}_{peer}"), aim))
    return found


def query_ours() -> Trial:
    from otel_tutor.monitoring import metrics_collector

    sink = ours()
    return _trial(lambda subject: metrics_collector.track_rag_query(subject, 0.12, 5, 1.4), sink, of_queries(EACH))


def inference_ours() -> Trial:
    from otel_tutor.monitoring import metrics_collector

    sink = ours()
    update = functools.partial(metrics_collector.track_model_inference, *MODEL, 1.4, 512, 64, "success")
    return _trial(lambda _: update(), sink, of_inferences(EACH))


def query_api() -> Trial:
    sink = _exponential()
    return _trial(ByApi().query, sink, of_queries(EACH))


def inference_api() -> Trial:
    sink = _exponential()
    api = ByApi()
    return _trial(lambda _: api.call(), sink, of_inferences(EACH))


def query_buckets() -> Trial:
    sink = plain_sdk()
    return _trial(ByApi().query, sink, of_queries(EACH))


def inference_buckets() -> Trial:
    sink = plain_sdk()
    api = ByApi()
    return _trial(lambda _: api.call(), sink, of_inferences(EACH))


def query_client() -> Trial:
    sink = Registry("queries_total", {"subject": SUBJECTS[0], "status": "success"})
    return _trial(ByPrometheus(sink.registry).query, sink, {"queries_total": EACH / len(SUBJECTS)})


def inference_client() -> Trial:
    sink = Registry("calls_total", {"model_name": MODEL[0], "quantization_type": MODEL[1], "status": "success"})
    client = ByPrometheus(sink.registry)
    return _trial(lambda _: client.call(), sink, {"calls_total": EACH})


def _exponential() -> Sink:
    """The plain SDK with histograms of the kind that ours has."""
    from otel_tutor.pipeline.upstream import histogram_aggregation

    return plain_sdk({kinds.Histogram: histogram_aggregation()})


def _trial(update: Callable[[str], object], sink: Sink, expected: Mapping[str, float]) -> Trial:
    inside = os.environ["WHERE"] == "inside"
    tracer = trace.get_tracer("bench")

    def run() -> None:
        with tracer.start_as_current_span("request") if inside else nullcontext():
            for number in range(EACH):
                update(SUBJECTS[number % len(SUBJECTS)])

    return Trial(run=run, each=EACH, sink=sink, expected=expected)
