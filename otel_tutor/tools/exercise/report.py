"""What the demo shows: read back from the backends, never from the app, and held against what was sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from otel_tutor.tools.exercise.load import LoadResult
from otel_tutor.tools.stack.backends import Backends, Exemplar, Sample, Span
from otel_tutor.tools.stack.polling import wait_for
from otel_tutor.tools.stack.traces import gaps

__all__ = ["STEPS", "Percentiles", "Report", "read_report"]

_ARRIVAL_SECONDS: Final = 30  # two exports and two scrapes fit in this several times
_TRACE_SECONDS: Final = 180  # on a busy machine Jaeger was two minutes behind, with the rest safe on the Collector's disk
_JOB: Final = 'job="tutor"'
_LATENCIES: Final = {
    "HTTP request": "http_request_duration_seconds",
    "RAG retrieval": "rag_retrieval_duration_seconds",
    "RAG generation": "rag_generation_duration_seconds",
    "model inference": "model_inference_duration_seconds",
}
# What every answered question does. The last is the name of a call to a model, without that model.
STEPS: Final = ("rag.query", "rag.retrieval", "rag.generation", "chat")
_SLOWEST: Final = f'http_request_duration_seconds_bucket{{{_JOB},endpoint="/ask"}}'


@dataclass(frozen=True, slots=True)
class Percentiles:
    """P50, P95 and P99 of a histogram, in seconds."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the three stores hold of a load."""

    requests: Mapping[tuple[str, str, int], int]
    request_rate: float  # per second, over the load
    latencies: Mapping[str, Percentiles]
    questions: Mapping[str, int]
    exemplar: Exemplar | None
    trace: Sequence[Span]
    logs: Sequence[Mapping[str, str]]

    def missing(self, load: LoadResult) -> list[str]:
        """What did not arrive of what was sent, a line each."""
        sent, stored = sum(load.requests.values()), sum(self.requests.values())
        asked, counted = sum(load.questions.values()), sum(self.questions.values())
        lacking = gaps(self.trace, STEPS) if self.trace else []
        arrived = {
            f"of {sent} requests {stored} are in http_requests_total": self.requests == load.requests,
            f"of {asked} questions {counted} are in student_questions_total": asked == counted,
            "a latency family has no values": all(latency.p99 > 0 for latency in self.latencies.values()),
            "no bucket of /ask has an exemplar": self.exemplar is not None,
            "the exemplar's trace is not in Jaeger": bool(self.trace),
            f"the exemplar's trace lacks {', '.join(lacking)}": not lacking,
            "the trace has no line in VictoriaLogs": bool(self.logs),
        }
        return [line for line, holds in arrived.items() if not holds]


def read_report(backends: Backends, load: LoadResult) -> Report:
    """Wait until what was sent has arrived, or has had ample time to, and read all of it back."""
    requests = wait_for(lambda: _requests(backends), lambda seen: seen == load.requests, seconds=_ARRIVAL_SECONDS)
    questions = _by(backends.query(f"sum by (subject) (student_questions_total{{{_JOB}}})"), "subject")
    exemplar, trace, logs = _slowest(backends, load.seconds + 2 * _ARRIVAL_SECONDS)
    return Report(
        requests=requests,
        request_rate=sum(requests.values()) / load.seconds,
        latencies={title: _percentiles(backends, family) for title, family in _LATENCIES.items()},
        questions=questions,
        exemplar=exemplar,
        trace=trace,
        logs=logs,
    )


def _requests(backends: Backends) -> dict[tuple[str, str, int], int]:
    """Requests by method, route and status."""
    samples = backends.query(f"sum by (method, endpoint, status) (http_requests_total{{{_JOB}}})")
    return {
        (sample.labels["method"], sample.labels["endpoint"], int(sample.labels["status"])): int(sample.value)
        for sample in samples
    }


def _by(samples: Sequence[Sample], label: str) -> dict[str, int]:
    return {sample.labels[label]: int(sample.value) for sample in samples}


def _percentiles(backends: Backends, family: str) -> Percentiles:
    """Over the life of the tutor's processes, which is the load: a rate() would lack what the first scrape found."""

    def quantile(share: float) -> float:
        samples = backends.query(f"histogram_quantile({share}, sum by (le) ({family}_bucket{{{_JOB}}}))")
        return samples[0].value if samples else float("nan")

    return Percentiles(quantile(0.5), quantile(0.95), quantile(0.99))


def _slowest(backends: Backends, seconds: float) -> tuple[Exemplar | None, list[Span], list[dict[str, str]]]:
    """The slowest question that left an exemplar, its trace once it is whole, and its log lines."""
    exemplars = wait_for(lambda: backends.exemplars(_SLOWEST, seconds=seconds), bool, seconds=_ARRIVAL_SECONDS)
    if not exemplars:
        return None, [], []
    exemplar = max(exemplars, key=lambda exemplar: exemplar.value)
    # The spans of a trace come in several batches.
    trace = wait_for(lambda: backends.trace(exemplar.trace_id), lambda spans: not gaps(spans, STEPS), seconds=_TRACE_SECONDS)
    logs = wait_for(lambda: backends.logs_of_trace(exemplar.trace_id), bool, seconds=_ARRIVAL_SECONDS)
    return exemplar, trace, logs
