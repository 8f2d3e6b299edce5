"""What arrived, read back from where it is kept: Prometheus, Jaeger and VictoriaLogs."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import httpx2

from otel_tutor.errors import StackError
from otel_tutor.tools.stack.ports import LOOPBACK, Ports

__all__ = ["NEWEST", "WINDOW", "Backends", "Exemplar", "Sample", "Span"]

_TIMEOUT: Final = 10.0  # seconds for one query
WINDOW: Final = 900  # seconds that are looked at for slow traces and for exemplars
NEWEST: Final = 200  # traces: Jaeger answers with whole ones, some 10 kB each


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of an instant query."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One measurement that Prometheus kept with its trace."""

    labels: Mapping[str, str]
    value: float
    trace_id: str


@dataclass(frozen=True, slots=True)
class Span:
    """One span as Jaeger keeps it; times in seconds, `start` since the Unix epoch."""

    span_id: str
    parent_id: str | None
    name: str
    service: str
    start: float
    duration: float
    tags: Mapping[str, Any]


class Backends:
    """The three stores of one stack. Every query raises StackError when its store does not answer."""

    def __init__(self, ports: Ports) -> None:
        self.prometheus = f"http://{LOOPBACK}:{ports['prometheus']}"
        self.jaeger = f"http://{LOOPBACK}:{ports['jaeger']}"
        self.victorialogs = f"http://{LOOPBACK}:{ports['victorialogs']}"
        # A proxy of the environment is for the world outside, not for loopback.
        self._client = httpx2.Client(timeout=_TIMEOUT, trust_env=False)

    def __enter__(self) -> "Backends":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def query(self, expression: str) -> list[Sample]:
        """The series of a PromQL expression, now."""
        answer = self._get(f"{self.prometheus}/api/v1/query", query=expression).json()
        return [Sample(series["metric"], float(series["value"][1])) for series in answer["data"]["result"]]

    def history(self, expression: str, *, seconds: float, step: float) -> list[tuple[Mapping[str, str], list[float]]]:
        """The series of a PromQL expression over the last `seconds`, a value every `step`; gaps are left out."""
        now = time.time()
        answer = self._get(
            f"{self.prometheus}/api/v1/query_range", query=expression, start=str(now - seconds), end=str(now), step=str(step)
        ).json()
        return [(series["metric"], [float(value) for _, value in series["values"]]) for series in answer["data"]["result"]]

    def slowest(self, service: str, *, errors: bool = False) -> list[Span]:
        """The roots of the newest traces of a service, slowest first, with `trace_id` among the tags.

        Jaeger answers with the newest NEWEST traces of the last WINDOW seconds, with `errors` of those that have an error:
        where there were more, an older one may be slower. The root of a trace that began outside Jaeger's sight is its first
        span whose parent is missing.
        """
        now = time.time()
        answer = self._get(
            f"{self.jaeger}/api/traces",
            service=service,
            start=str(int((now - WINDOW) * 1e6)),
            end=str(int(now * 1e6)),
            limit=str(NEWEST),
            **({"tags": '{"error":"true"}'} if errors else {}),
        ).json()
        roots = [_root(trace) for trace in answer["data"] if trace["spans"]]
        return sorted(roots, key=lambda span: -span.duration)

    def exemplars(self, expression: str, *, seconds: float = WINDOW) -> list[Exemplar]:
        """The exemplars of the series in a PromQL expression, of the last `seconds`."""
        now = time.time()
        answer = self._get(
            f"{self.prometheus}/api/v1/query_exemplars", query=expression, start=str(now - seconds), end=str(now)
        ).json()
        return [
            Exemplar(series["seriesLabels"], float(exemplar["value"]), exemplar["labels"].get("trace_id", ""))
            for series in answer["data"]
            for exemplar in series["exemplars"]
        ]

    def trace(self, trace_id: str) -> list[Span]:
        """The spans of a trace in starting order; none where Jaeger does not know it."""
        response = self._client_get(f"{self.jaeger}/api/traces/{trace_id}")
        if response.status_code == httpx2.codes.NOT_FOUND:
            return []
        traces = _checked(response).json()["data"]
        return sorted(
            (_span(span, trace["processes"]) for trace in traces for span in trace["spans"]), key=lambda span: span.start
        )

    def logs(self, query: str, *, limit: int = 1000) -> list[dict[str, str]]:
        """The log records of a LogsQL query, oldest first, each a mapping of fields; `_msg` is the text."""
        text = self._get(f"{self.victorialogs}/select/logsql/query", query=query, limit=str(limit)).text
        records: list[dict[str, str]] = [json.loads(line) for line in text.splitlines()]
        return sorted(records, key=lambda record: record.get("_time", ""))

    def logs_of_trace(self, trace_id: str) -> list[dict[str, str]]:
        """The log records that were written inside a trace."""
        return self.logs(f'trace_id:="{trace_id}"')

    def _get(self, url: str, **parameters: str) -> httpx2.Response:
        return _checked(self._client_get(url, **parameters))

    def _client_get(self, url: str, **parameters: str) -> httpx2.Response:
        try:
            return self._client.get(url, params=parameters)
        except httpx2.HTTPError as error:
            raise StackError(f"{url} does not answer ({error or type(error).__name__}): see `otel-tutor status`") from None


def _root(trace: Mapping[str, Any]) -> Span:
    spans = [_span(span, trace["processes"]) for span in trace["spans"]]
    known = {span.span_id for span in spans}
    parentless = [span for span in spans if span.parent_id not in known] or spans
    root = min(parentless, key=lambda span: (span.parent_id is not None, span.start))
    return replace(root, tags={**root.tags, "trace_id": trace["traceID"]})


def _checked(response: httpx2.Response) -> httpx2.Response:
    if response.is_error:
        reason = " ".join(response.text.split())[:200]
        raise StackError(f"{response.url.copy_with(query=None)} answered {response.status_code}: {reason}")
    return response


def _span(span: Mapping[str, Any], processes: Mapping[str, Any]) -> Span:
    parents = [reference["spanID"] for reference in span["references"] if reference["refType"] == "CHILD_OF"]
    return Span(
        span_id=span["spanID"],
        parent_id=parents[0] if parents else None,
        name=span["operationName"],
        service=processes[span["processID"]]["serviceName"],
        start=span["startTime"] / 1e6,
        duration=span["duration"] / 1e6,
        tags={tag["key"]: tag["value"] for tag in span["tags"]},
    )
