"""What the stores hold of a service, item by item, and what each hop has counted."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from otel_tutor.errors import StackError
from otel_tutor.tools.stack.backends import Backends

__all__ = ["COUNTS", "Stored", "increases", "read_stored", "totals"]

_WINDOW: Final = 2.0  # seconds of traces that Jaeger is asked for at once
_LIMIT: Final = 4000  # traces

# By what is counted: the family in Prometheus of one service.
COUNTS: Final[Mapping[str, str]] = {
    "counter": 'student_questions_total{{job="{service}"}}',
    "histogram": 'http_request_duration_seconds_count{{job="{service}",endpoint="/work"}}',
    "span metrics": 'traces_span_metrics_calls_total{{job="{service}",span_name="work"}}',
}


@dataclass(frozen=True, slots=True)
class Stored:
    """How often each number is stored."""

    logs: Counter[str]
    spans: Counter[str]  # the children
    roots: int


def read_stored(backends: Backends, service: str, began: float, ended: float, *, without_traces: bool = False) -> Stored:
    """Read all log records and all spans of a service back. Raises StackError where a store does not answer."""
    rows = backends.logs(f'service.name:="{service}" | stats by (item) count() times', limit=1_000_000)
    logs = Counter({row["item"]: int(row["times"]) for row in rows if row.get("item")})
    spans: Counter[str] = Counter()
    seen: set[str] = set()
    roots = 0
    for trace in () if without_traces else _traces(backends, service, began, ended):
        if trace["traceID"] in seen:
            continue
        seen.add(trace["traceID"])
        for span in trace["spans"]:
            item = next((str(tag["value"]) for tag in span["tags"] if tag["key"] == "item"), None)
            if item is not None:
                spans[item] += 1
            elif span["operationName"] == "GET /work":
                roots += 1
    return Stored(logs, spans, roots)


def _traces(backends: Backends, service: str, began: float, ended: float) -> Iterator[dict[str, Any]]:
    start = began
    while start < ended:
        parameters = {
            "service": service,
            "start": str(int(start * 1e6)),
            "end": str(int((start + _WINDOW) * 1e6)),
            "limit": str(_LIMIT),
        }
        try:
            answer = httpx2.get(f"{backends.jaeger}/api/traces", params=parameters, timeout=60, trust_env=False)
        except httpx2.HTTPError as error:
            raise StackError(f"Jaeger does not answer: {error}") from None
        if answer.is_error:
            raise StackError(f"Jaeger answered {answer.status_code}: {answer.text[:200]}")
        yield from answer.json()["data"]
        start += _WINDOW


def totals(backends: Backends, service: str, seconds: float) -> dict[str, int]:
    """What Prometheus has counted: every step up of every series, and a value that went down counts whole."""
    found = {}
    for name, family in COUNTS.items():
        query = f"{family.format(service=service)}[{int(seconds)}s]"
        found[name] = round(sum(_steps([float(value) for _, value in values]) for values in _raw(backends, query)))
    return found


def increases(backends: Backends, service: str, seconds: float) -> dict[str, int]:
    """What increase() says of the same, over all of it."""
    return {
        name: round(
            sum(sample.value for sample in backends.query(f"increase({family.format(service=service)}[{int(seconds)}s])"))
        )
        for name, family in COUNTS.items()
    }


def _raw(backends: Backends, query: str) -> list[list[tuple[float, str]]]:
    answer = httpx2.get(
        f"{backends.prometheus}/api/v1/query", params={"query": query, "time": str(time.time())}, trust_env=False
    )
    return [series["values"] for series in answer.json()["data"]["result"]]


def _steps(values: list[float]) -> float:
    steps = before = 0.0
    for value in values:
        steps += value - before if value >= before else value
        before = value
    return steps
