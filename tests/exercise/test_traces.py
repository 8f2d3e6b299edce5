"""What a trace lacks is found, and a trace that lacks nothing is whole."""

from dataclasses import replace

import pytest

from otel_tutor.tools.exercise.load import LoadResult
from otel_tutor.tools.exercise.report import STEPS, Percentiles, Report
from otel_tutor.tools.stack.backends import Exemplar, Span
from otel_tutor.tools.stack.traces import gaps

TREE = {  # a span, its parent and its kind
    "POST /ask": (None, "server"),
    "rag.query": ("POST /ask", "internal"),
    "rag.retrieval": ("rag.query", "internal"),
    "SELECT": ("rag.retrieval", "client"),
    "rag.generation": ("rag.query", "internal"),
    "chat tutor": ("rag.generation", "client"),
}


def spans(*lost: str, **parents: str) -> list[Span]:
    """The spans of a question without those that are lost; an id is its span's name."""
    kept = {name: (parents.get(name, parent), kind) for name, (parent, kind) in TREE.items() if name not in lost}
    return [Span(name, parent, name, "tutor", 0.0, 1.0, {"span.kind": kind}) for name, (parent, kind) in kept.items()]


def test_a_whole_trace_lacks_nothing() -> None:
    assert gaps(spans(), STEPS) == []


@pytest.mark.parametrize(
    ("lost", "lacking"),
    [
        (["chat tutor"], ["chat"]),
        (["SELECT"], []),  # no span of it is expected, and none refers to it
        (["rag.retrieval"], ["the parent rag.retrieval of SELECT", "rag.retrieval"]),
        (["POST /ask"], ["its root", "the parent POST /ask of rag.query"]),
        (["rag.generation", "chat tutor"], ["rag.generation", "chat"]),
        (list(TREE), ["its root", *STEPS]),
    ],
    ids=str,
)
def test_what_is_lost_is_named(lost: list[str], lacking: list[str]) -> None:
    assert gaps(spans(*lost), STEPS) == lacking


def test_a_trace_that_began_in_a_client_elsewhere_is_whole() -> None:
    assert gaps(spans(**{"POST /ask": "a browser"}), STEPS) == []


def test_what_has_two_roots_is_not_one_trace() -> None:
    another = Span("other", None, "GET /live", "tutor", 0.0, 1.0, {"span.kind": "server"})

    assert gaps([*spans(), another], STEPS) == ["what joins its 2 roots"]


def test_the_demo_names_what_its_trace_lacks() -> None:
    requests = {("POST", "/ask", 200): 1}
    report = Report(
        requests=requests,
        request_rate=1.0,
        latencies={"HTTP request": Percentiles(0.1, 0.1, 0.1)},
        questions={"physics": 1},
        exemplar=Exemplar({"le": "0.1"}, 0.1, "0" * 32),
        trace=spans(),
        logs=[{"_msg": "question ended"}],
    )
    load = LoadResult(requests=requests, questions={"physics": 1}, durations={}, seconds=1.0)
    lacking = replace(report, trace=spans("rag.generation"))

    assert report.missing(load) == []
    assert lacking.missing(load) == ["the exemplar's trace lacks the parent rag.generation of chat tutor, rag.generation"]
