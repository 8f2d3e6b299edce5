"""The instruments of a question and of a call to a model, as a careful user makes them by hand, and in prometheus_client."""

from typing import Any, Final

from opentelemetry import metrics
from opentelemetry.metrics import Counter, Histogram

__all__ = ["MODEL", "SUBJECTS", "ByApi", "ByPrometheus", "of_inferences", "of_queries", "of_questions"]

SUBJECTS: Final = ("physics", "biology", "history", "chemistry", "mathematics")
MODEL: Final = ("gpt-5-mini", "int8")

# What one call leaves, so often; ours and theirs alike.
QUERY: Final = {"rag.queries": 1, "rag.context.documents": 1, "rag.retrieval.duration": 1, "rag.generation.duration": 1}
CALL: Final = {"gen_ai.client.operations": 1, "gen_ai.client.operation.duration": 1, "model.inference.duration": 1}
TOKENS: Final = {"gen_ai.client.token.usage": 2, "model.tokens": 512 + 64}


def of_queries(times: int) -> dict[str, float]:
    return {name: number * times for name, number in QUERY.items()}


def of_inferences(times: int) -> dict[str, float]:
    return {name: number * times for name, number in (CALL | TOKENS).items()}


def of_questions(times: int) -> dict[str, float]:
    return {**of_queries(times), **of_inferences(times), "student.questions": times}


class ByApi:
    """Through opentelemetry-api."""

    def __init__(self) -> None:
        counters = ("rag.queries", "gen_ai.client.operations", "model.tokens", "student.questions")
        meter = metrics.get_meter("bench")
        counter: dict[str, Counter] = {name: meter.create_counter(name) for name in counters}
        names = (QUERY | CALL | TOKENS).keys() - set(counters)
        histogram: dict[str, Histogram] = {name: meter.create_histogram(name) for name in names}
        self.queries, self.calls = counter["rag.queries"], counter["gen_ai.client.operations"]
        self.token_count, self.questions = counter["model.tokens"], counter["student.questions"]
        self.documents, self.tokens = histogram["rag.context.documents"], histogram["gen_ai.client.token.usage"]
        self.retrieval, self.generation = histogram["rag.retrieval.duration"], histogram["rag.generation.duration"]
        self.operation, self.inference = histogram["gen_ai.client.operation.duration"], histogram["model.inference.duration"]

    def query(self, subject: str) -> None:
        self.queries.add(1, {"tutor.subject": subject, "outcome": "success"})
        self.documents.record(5, {"tutor.subject": subject})
        self.retrieval.record(0.12, {"tutor.subject": subject})
        self.generation.record(1.4, {"tutor.subject": subject})

    def call(self) -> None:
        name, quantization = MODEL
        outcome = {"gen_ai.request.model": name, "quantization": quantization, "outcome": "success"}
        self.calls.add(1, outcome)
        self.operation.record(1.4, outcome)
        self.inference.record(1.4, {"gen_ai.request.model": name, "quantization": quantization})
        for kind, number in (("input", 512), ("output", 64)):
            of_type = {"gen_ai.request.model": name, "gen_ai.token.type": kind}
            self.token_count.add(number, of_type)
            self.tokens.record(number, of_type)


class ByPrometheus:
    """In prometheus_client, with its labels asked for each time."""

    def __init__(self, registry: Any) -> None:
        from prometheus_client import Counter, Histogram

        def counter(name: str, *labels: str) -> Any:
            return Counter(name, name, labels, registry=registry)

        def histogram(name: str, *labels: str) -> Any:
            return Histogram(name, name, labels, registry=registry)

        model = ("model_name", "quantization_type")
        self.queries, self.documents = counter("queries", "subject", "status"), histogram("documents", "subject")
        self.retrieval, self.generation = histogram("retrieval", "subject"), histogram("generation", "subject")
        self.calls, self.operation = counter("calls", *model, "status"), histogram("operation", *model, "status")
        self.inference, self.tokens = histogram("inference", *model), histogram("tokens", "model_name", "type")
        self.token_count = counter("token_count", "model_name", "type")

    def query(self, subject: str) -> None:
        self.queries.labels(subject, "success").inc()
        self.documents.labels(subject).observe(5)
        self.retrieval.labels(subject).observe(0.12)
        self.generation.labels(subject).observe(1.4)

    def call(self) -> None:
        name, quantization = MODEL
        self.calls.labels(name, quantization, "success").inc()
        self.operation.labels(name, quantization, "success").observe(1.4)
        self.inference.labels(name, quantization).observe(1.4)
        for kind, number in (("input", 512), ("output", 64)):
            self.token_count.labels(name, kind).inc(number)
            self.tokens.labels(name, kind).observe(number)
