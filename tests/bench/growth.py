"""How cost grows with what there is of something: the slope of its curve in logarithms, 1 where it is linear.

Each curve is measured several times; the row has the median of the slopes, and the slope of the steepest step.
"""

import math
import os
import statistics
import tempfile
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import httpx2

from otel_tutor.tools.stack.ports import LOOPBACK
from tests.bench.apps import server, starlette_app
from tests.bench.collection import MEASURE, OURS, SERIES, collect
from tests.bench.collectors import merged_configuration, start
from tests.bench.otelcol import Collector
from tests.bench.processes import Effort, Variant, measure, plain_python, run_program
from tests.bench.table import Row, quartiles
from tests.bench.trial import Trial, ours
from tests.bench.workers import by_connections, by_workers

__all__ = ["Curve", "rows"]

AIM = 1.1
SUBJECTS = (1, 10, 100, 1250)  # for 8 to 10,000 series
SPANS = (1, 3, 10, 30, 100)
LABELS = (1, 10, 100, 1000)
THREADS = (1, 4, 16, 64)

Curve = Sequence[tuple[float, float]]


def rows(effort: Effort) -> list[Row]:
    """The rows of growth."""
    found = _of_series(effort)
    for name, sizes, what in (
        ("spans", SPANS, "1 → 100 spans a request: processor time of a request"),
        ("subjects", LABELS, "1 → 1,000 subjects: processor time, 20 questions each and a collection"),
        ("threads", THREADS, "1 → 64 recording threads: processor time, 500 questions each"),
    ):
        variants = [Variant(__name__, name, environ={"SIZE": str(size)}, label=str(size)) for size in sizes]
        times = measure(variants, effort)
        rounds = zip(*(times[str(size)] for size in sizes), strict=True)
        curves = [[(size, each["all"]) for size, each in zip(sizes, of, strict=True)] for of in rounds]
        found.append(_row(what, curves, 1e6, "µs"))
    found.append(_row("1 → 64 connections: processor time, as many requests each", by_connections(effort), 1e6, "µs"))
    workers = by_workers(effort)
    found.append(_row("1 → 4 workers: processor time, as many requests each", workers["processor"], 1e6, "µs"))
    found.append(_row("1 → 4 workers: memory", workers["memory"], 1e-6, "MB"))
    return found


def _of_series(effort: Effort) -> list[Row]:
    runs = [[collect("ours", subjects, 3) for subjects in SUBJECTS] for _ in range(effort.starts)]
    sizes = [SERIES * subjects for subjects in SUBJECTS]

    def curves(kind: str, first: int = 0) -> list[Curve]:
        medians = [[statistics.median(each[kind] for each in figures) for figures in run] for run in runs]
        return [list(zip(sizes, run, strict=True))[first:] for run in medians]

    return [
        _row("8 → 10,000 series: processor time of an export", curves("processor"), 1e3, "ms"),
        _row("80 → 10,000 series: memory", curves("memory", 1), 1e-6, "MB"),  # of fewer it is less than a page's worth
        _row("8 → 10,000 series: the Collector's processor time of a scrape", _scrapes(effort), 1e3, "ms"),
    ]


def _scrapes(effort: Effort) -> list[Curve]:
    """Of Collectors that hold as many series of an app that has ended."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        collectors = {}
        for subjects in SUBJECTS:
            _, collector, _ = start(stack, Path(folder) / str(subjects), "ours", merged_configuration())
            program = (OURS + MEASURE).format(subjects=subjects, rounds=1)
            run_program(plain_python(), program, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.grpc})
            collectors[SERIES * subjects] = collector
        return [[(size, _scrape(each)) for size, each in collectors.items()] for _ in range(effort.loads)]


def _scrape(collector: Collector) -> float:
    """The mean of five."""
    began = collector.processor_seconds()
    for _ in range(5):
        httpx2.get(f"http://{LOOPBACK}:{collector.ports['metrics']}/metrics").raise_for_status()
    return (collector.processor_seconds() - began) / 5


def spans() -> Trial:
    """Requests with so many spans in each."""
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, Response

    import otel_tutor
    from otel_tutor.tracing import trace_operation

    size = int(os.environ["SIZE"])
    requests = max(5, 300 // size)

    async def work(request: Request) -> Response:
        for _ in range(size - 1):
            with trace_operation("operation", {"component": "rag"}):
                pass
        return PlainTextResponse("done")

    sink, app = ours(), starlette_app()
    app.add_route("/work", work)
    otel_tutor.configure(app)
    return Trial(run=server(app, requests, "/work"), each=requests, sink=sink, expected={"spans": size * requests})


def subjects() -> Trial:
    """Questions about so many subjects; a round is divided by nothing, so that its time is that of all."""
    import otel_tutor
    from otel_tutor.monitoring import metrics_collector

    size = int(os.environ["SIZE"])
    sink = ours()
    otel_tutor.configure(cardinality_limits={"tutor.subject": 2 * max(LABELS)})

    def run() -> None:
        for _ in range(20):
            for number in range(size):
                metrics_collector.track_rag_query(f"subject {number}", 0.12, 5, 1.4)

    return Trial(run=run, each=1, sink=sink, expected={"rag.queries": 20 * size})


def threads() -> Trial:
    """Questions recorded by so many threads at once."""
    from otel_tutor.monitoring import metrics_collector

    size, sink = int(os.environ["SIZE"]), ours()

    def record() -> None:
        for _ in range(500):
            metrics_collector.track_rag_query("physics", 0.12, 5, 1.4)

    def run() -> None:
        running = [threading.Thread(target=record) for _ in range(size)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()

    return Trial(run=run, each=1, sink=sink, expected={"rag.queries": 500 * size, "rag.retrieval.duration": 500 * size})


def _row(what: str, curves: Sequence[Curve], factor: float, unit: str) -> Row:
    low, middle, high = quartiles([_slope(curve) for curve in curves])
    points = [(of[0][0], statistics.median(y for _, y in of)) for of in zip(*curves, strict=True)]
    steepest = max(_slope(points[number : number + 2]) for number in range(len(points) - 1))
    first, last = points[0][1] * factor, points[-1][1] * factor
    return Row(
        what=what,
        peer=f"linear; the steepest step is {steepest:.2f}",
        ours=f"{first:,.4g} → {last:,.4g} {unit}",
        theirs="-",
        value=middle,
        low=low,
        high=high,
        aim=AIM,
        points=points,
    )


def _slope(curve: Curve) -> float:
    x, y = zip(*((math.log(x), math.log(y)) for x, y in curve), strict=True)
    return statistics.linear_regression(x, y).slope
