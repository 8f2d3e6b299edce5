"""One question recorded: by our call, and by the updates of the same series through opentelemetry-api."""

import functools
import time
from collections.abc import Callable

from opentelemetry import metrics

from otel_tutor.monitoring import metrics_collector

EACH = 1000  # questions in a round
SUBJECTS = ("physics", "biology", "history", "chemistry", "mathematics")


def update_variants() -> dict[str, Callable[[], float]]:
    """Ours, and the counter and the three histograms as a careful user would write them."""
    meter = metrics.get_meter("bench")
    queries = meter.create_counter("bench.queries")
    retrieval, documents, generation = (meter.create_histogram(f"bench.{name}") for name in ("r", "d", "g"))

    def by_api(subject: str) -> None:
        queries.add(1, {"subject": subject, "status": "success"})
        retrieval.record(0.12, {"subject": subject})
        documents.record(5, {"subject": subject})
        generation.record(1.4, {"subject": subject})

    def by_us(subject: str) -> None:
        metrics_collector.track_rag_query(subject, 0.12, 5, 1.4)

    return {"ours": functools.partial(_run, by_us), "api": functools.partial(_run, by_api)}


def _run(update: Callable[[str], None]) -> float:
    began = time.process_time()
    for number in range(EACH):
        update(SUBJECTS[number % len(SUBJECTS)])
    return time.process_time() - began
