"""What it costs to export 10,000 series: processor time, and how long the event loop stands still meanwhile.

Ours collects, encodes and sends them in a thread, over OTLP. prometheus_client writes the same for a scrape, in the event
loop as a route of the app does. Both have 1,250 subjects, each with four counters and four histograms.
"""

from collections.abc import Mapping, Sequence

from tests.bench.processes import Effort, LostError, plain_python, run_program
from tests.bench.table import Row, quartiles
from tests.support.receiver import receiver

__all__ = ["collect", "rows"]

SUBJECTS = 1250  # each with SERIES
SERIES = 8
INSTRUMENTS = (
    "rag.queries",
    "rag.retrieval.duration",
    "rag.context.documents",
    "rag.generation.duration",
    "student.questions",
    "student.practice.answers",
    "vector_store.searches",
    "vector_store.search.duration",
)

# The SDK holds 2,000 sets of labels of an instrument at most, so it takes eight instruments.
OURS = """
import otel_tutor
from otel_tutor.monitoring import metrics_collector
attributes = "tutor.subject", "tutor.topic", "tutor.collection"
otel_tutor.configure(cardinality_limits=dict.fromkeys(attributes, 2000))
def record(number):
    metrics_collector.track_rag_query(f"subject {{number}}", .1 + number % 7, number % 9, 1.4)
    metrics_collector.track_student_activity(f"subject {{number}}", f"topic {{number}}")
    metrics_collector.track_practice_answer(f"subject {{number}}", True)
    metrics_collector.track_vector_search(f"collection {{number}}", .1 + number % 5)
export, blocks = lambda: otel_tutor.flush(60), False
"""
CLIENT = """
from prometheus_client import REGISTRY, Counter, Histogram, generate_latest
counters = [Counter(name, name, ["a", "b"]) for name in ("queries", "questions", "answers", "searches")]
histograms = [Histogram(name, name, ["subject"]) for name in ("retrieval", "documents", "generation", "search")]
def record(number):
    for counter in counters:
        counter.labels(f"subject {{number}}", "success").inc()
    for histogram, value in zip(histograms, (.1 + number % 7, number % 9, 1.4, .1 + number % 5)):
        histogram.labels(f"subject {{number}}").observe(value)
export, blocks = lambda: generate_latest(REGISTRY), True
"""
MEASURE = """
import asyncio, gc, json, sys, time
def busy(function):
    began = time.process_time()
    function()
    return time.process_time() - began
async def longest(doing):
    # The longest time between two turns of the loop while something goes on.
    task, pause, last = asyncio.create_task(doing()), 0.0, time.perf_counter()
    while not task.done():
        await asyncio.sleep(0)
        now = time.perf_counter()
        pause, last = max(pause, now - last), now
    return pause
async def nothing():
    await asyncio.sleep(0.2)
async def exporting():
    if blocks:
        export()
    else:
        await asyncio.get_running_loop().run_in_executor(None, export)
def used():
    gc.collect()
    with open("/proc/self/smaps_rollup") as lines:
        return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
export()
before = used()
for number in range({subjects}):
    record(number)
memory = used() - before
figures = []
export()
for _ in range({rounds}):
    processor = busy(export)
    pause, quiet = asyncio.run(longest(exporting)), asyncio.run(longest(nothing))
    figures.append({{"processor": processor, "pause": pause, "quiet": quiet, "memory": memory}})
sys.stdout.write(json.dumps(figures) + "\\n")
sys.stdout.flush()
import os
os.execv("/bin/true", ["true"])
"""


def rows(effort: Effort) -> list[Row]:
    """The rows of collection."""
    ours: list[Mapping[str, float]] = []
    theirs: list[Mapping[str, float]] = []
    for _ in range(effort.starts):
        ours += collect("ours", SUBJECTS, effort.loads)
        theirs += collect("client", SUBJECTS, effort.loads)
    ratios = [one["processor"] / other["processor"] for one, other in zip(ours, theirs, strict=True)]
    low, middle, high = quartiles(ratios)
    what = f"export of {SERIES * SUBJECTS:,} series"
    processor = Row(
        what=f"{what}: processor time",
        peer="prometheus_client's scrape",
        ours=_milliseconds(ours, "processor"),
        theirs=_milliseconds(theirs, "processor"),
        value=middle,
        low=low,
        high=high,
        aim=1.0,
    )
    low, middle, high = quartiles([1000 * each["pause"] for each in ours])
    pause = Row(
        what=f"{what}: longest pause of the event loop, ms (without an export: {_milliseconds(ours, 'quiet')})",
        peer="prometheus_client's scrape",
        ours=_milliseconds(ours, "pause"),
        theirs=_milliseconds(theirs, "pause"),
        value=middle,
        low=low,
        high=high,
        aim=5.0,
    )
    return [processor, pause]


def collect(which: str, subjects: int, rounds: int) -> Sequence[Mapping[str, float]]:
    """Figures of each round of a fresh process: seconds, and bytes for the series. Raises LostError."""
    program = ({"ours": OURS, "client": CLIENT}[which] + MEASURE).format(subjects=subjects, rounds=rounds)
    environ = {"OTEL_METRIC_EXPORT_INTERVAL": "600000"}
    with receiver() as arrived:
        figures: Sequence[Mapping[str, float]] = run_program(
            plain_python(), program, {**environ, "OTEL_EXPORTER_OTLP_ENDPOINT": arrived.address}
        )
        points = sum(len(arrived.points.get(name, ())) for name in INSTRUMENTS)
    expected = SERIES * subjects * (1 + 2 * rounds) if which == "ours" else 0
    if points != expected:
        raise LostError(f"collection, {which}: {points} points instead of {expected}")
    return figures


def _milliseconds(figures: Sequence[Mapping[str, float]], kind: str) -> str:
    return f"{1000 * quartiles([each[kind] for each in figures])[1]:.1f} ms"
