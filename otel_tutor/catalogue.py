"""Every instrument the product emits, one row each: the only place that has its OpenTelemetry name.

What Prometheus calls it, and its buckets, is for `collector/naming.yaml` to say. To add a metric: a row here, a line there.
Names follow the OpenTelemetry semantic conventions where one exists (HTTP server, GenAI attributes).
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

__all__ = ["ATTRIBUTES", "CATALOGUE", "Attribute", "Instrument", "Kind"]


class Kind(Enum):
    """How an instrument behaves; the observable ones are read at export and cost nothing in between."""

    COUNTER = "counter"
    HISTOGRAM = "histogram"
    OBSERVABLE_COUNTER = "observable counter"
    OBSERVABLE_GAUGE = "observable gauge"
    OBSERVABLE_UP_DOWN_COUNTER = "observable up-down counter"


@dataclass(frozen=True, slots=True)
class Attribute:
    """A label of a measurement, and how many different values one process may give it; later ones become `_OTHER`.

    Values that are reserved are kept, however many others came before them: what rules look for must not become `_OTHER`.
    """

    key: str
    limit: int
    reserved: tuple[str, ...] = ()


# A limit is one process's, and a default: `configure(cardinality_limits=...)` sets another.
METHOD: Final = Attribute("http.request.method", 12)  # ten are known to the conventions, any other is _OTHER
# Templates of a large API; times methods and statuses, some thousand series. "none" is outside of a request.
ROUTE: Final = Attribute("http.route", 300, ("none",))
STATUS_CODE: Final = Attribute("http.response.status_code", 64)  # as many as IANA has registered
DIRECTION: Final = Attribute("network.io.direction", 2)  # receive, transmit
SUBJECT: Final = Attribute("tutor.subject", 50, ("none",))  # what a school teaches, twice over; none outside of a question
TOPIC: Final = Attribute("tutor.topic", 500)  # ten for each subject
CORRECT: Final = Attribute("tutor.answer.correct", 2)  # true, false
# What is neither success nor cancelled is a failure; beside these, ten words for failures are an app's own.
OUTCOME: Final = Attribute("tutor.outcome", 10, ("success", "cancelled", "error"))
MODEL: Final = Attribute("gen_ai.request.model", 50)  # those tried out since the process began, versions included
QUANTIZATION: Final = Attribute("tutor.model.quantization", 20)  # llama.cpp, which has the most, names about fifteen
TOKEN_TYPE: Final = Attribute("gen_ai.token.type", 5)  # input and output; their parts: cache_read, cache_write, reasoning
CURRENCY: Final = Attribute("tutor.currency", 2)  # that of the prices, and that of prices set later
# Why a model stops, in the conventions' words. Every provider's words are mapped to these where they fit.
FINISH_REASON: Final = Attribute("gen_ai.response.finish_reason", 10, ("stop", "length", "tool_call", "content_filter"))
EVALUATION: Final = Attribute("gen_ai.evaluation.name", 30)  # what is judged: relevance, faithfulness, feedback
EVALUATION_LABEL: Final = Attribute("gen_ai.evaluation.score.label", 30)  # words of all these evaluations
GUARDRAIL: Final = Attribute("tutor.guardrail", 30)  # rules that questions and answers have to pass
GUARDRAIL_OUTCOME: Final = Attribute("tutor.guardrail.outcome", 10, ("passed", "blocked"))
REASON: Final = Attribute("tutor.reason", 5)  # why something is not known: price, tokens
RECORD_TYPE: Final = Attribute("tutor.record.type", 30)  # kinds of records: as many as a database has tables
COLLECTION: Final = Attribute("tutor.collection", 50)  # one for each subject
DISK_PATH: Final = Attribute("tutor.disk.path", 20)  # file systems of one host
CHECK: Final = Attribute("health.check.name", 50)  # a probe that runs more than these answers too late
DB_OPERATION: Final = Attribute("db.operation.name", 30)  # first words of SQL: about twenty, and those of one dialect
DB_POOL: Final = Attribute("db.client.connection.pool.name", 20)  # databases of one service
DB_STATE: Final = Attribute("db.client.connection.state", 2)  # used, idle
INSTRUMENT: Final = Attribute("otel_tutor.instrument.name", 100)  # the rows below, and as many that `track_time` makes
ATTRIBUTE_KEY: Final = Attribute("otel_tutor.attribute.key", 50)  # the attributes above, with room for more
SIGNAL: Final = Attribute("otel_tutor.signal", 3)  # traces, metrics, logs
LOSS: Final = Attribute("otel_tutor.loss", 3)  # why a record cannot be sent: too_large, refused, invalid

ATTRIBUTES: Final = (
    METHOD,
    ROUTE,
    STATUS_CODE,
    DIRECTION,
    SUBJECT,
    TOPIC,
    CORRECT,
    OUTCOME,
    MODEL,
    QUANTIZATION,
    TOKEN_TYPE,
    CURRENCY,
    FINISH_REASON,
    EVALUATION,
    EVALUATION_LABEL,
    GUARDRAIL,
    GUARDRAIL_OUTCOME,
    REASON,
    RECORD_TYPE,
    COLLECTION,
    DISK_PATH,
    CHECK,
    DB_OPERATION,
    DB_POOL,
    DB_STATE,
    INSTRUMENT,
    ATTRIBUTE_KEY,
    SIGNAL,
    LOSS,
)


@dataclass(frozen=True, slots=True)
class Instrument:
    """One instrument: OpenTelemetry name, kind, UCUM unit, attributes and what it measures."""

    name: str
    kind: Kind
    unit: str
    attributes: tuple[Attribute, ...]
    description: str


_COUNTER, _HISTOGRAM = Kind.COUNTER, Kind.HISTOGRAM
_GAUGE, _UP_DOWN, _TOTAL = Kind.OBSERVABLE_GAUGE, Kind.OBSERVABLE_UP_DOWN_COUNTER, Kind.OBSERVABLE_COUNTER

# HTTP requests are measured here, and always have a duration: their count is that of the histogram, and the Collector derives
# it. The durations of the other four (questions, calls to a model, syncs, searches) are an app's, and may be missing, odd, or
# the 0 s of a failure. So each has a counter beside it, and the histogram that objectives are measured on has successes only.
# fmt: off
HTTP_DURATION: Final = Instrument("http.server.request.duration", _HISTOGRAM, "s", (METHOD, ROUTE, STATUS_CODE), "Time from a request's arrival to the last byte of its response.")
HTTP_ACTIVE: Final = Instrument("http.server.active_requests", _UP_DOWN, "{request}", (METHOD, ROUTE), "Requests being answered now.")
HTTP_FIRST_BYTE: Final = Instrument("http.server.response.time_to_first_byte", _HISTOGRAM, "s", (METHOD, ROUTE), "Time from a request's arrival to the first byte of a response that is streamed.")
HTTP_REQUEST_IO: Final = Instrument("http.server.request.io", _TOTAL, "By", (METHOD, ROUTE), "Bytes of request bodies received.")
HTTP_RESPONSE_IO: Final = Instrument("http.server.response.io", _TOTAL, "By", (METHOD, ROUTE), "Bytes of response bodies sent.")
WEBSOCKET_DURATION: Final = Instrument("websocket.connection.duration", _HISTOGRAM, "s", (ROUTE,), "Time a WebSocket connection was open.")
WEBSOCKET_ACTIVE: Final = Instrument("websocket.active_connections", _UP_DOWN, "{connection}", (ROUTE,), "WebSocket connections open now.")
WEBSOCKET_MESSAGES: Final = Instrument("websocket.messages", _TOTAL, "{message}", (ROUTE, DIRECTION), "Messages received and transmitted over WebSockets.")
RAG_QUERIES: Final = Instrument("rag.queries", _COUNTER, "{question}", (SUBJECT, OUTCOME), "Questions put to the tutor, whether or not their durations are known.")
RAG_RETRIEVAL: Final = Instrument("rag.retrieval.duration", _HISTOGRAM, "s", (SUBJECT,), "Time to find the passages a question is answered from, where they were found; failures are no latency.")
RAG_DOCUMENTS: Final = Instrument("rag.context.documents", _HISTOGRAM, "{document}", (SUBJECT,), "Passages handed to the model with a question.")
RAG_GENERATION: Final = Instrument("rag.generation.duration", _HISTOGRAM, "s", (SUBJECT,), "Time to write the answer from the passages, where it was written.")
RAG_EMPTY: Final = Instrument("rag.queries.without_documents", _COUNTER, "{question}", (SUBJECT,), "Questions for which no passage was found.")
RAG_SCORE: Final = Instrument("rag.retrieval.score", _HISTOGRAM, "{score}", (SUBJECT,), "How well the best passage of a search fits, as the store scores it.")
RAG_CITED: Final = Instrument("rag.context.cited", _HISTOGRAM, "{document}", (SUBJECT,), "Passages that an answer cites.")
EVALUATIONS: Final = Instrument("gen_ai.evaluations", _COUNTER, "{evaluation}", (EVALUATION, EVALUATION_LABEL, SUBJECT), "Evaluations of answers, feedback of those who asked among them.")
EVALUATION_SCORE: Final = Instrument("gen_ai.evaluation.score", _HISTOGRAM, "{score}", (EVALUATION, SUBJECT), "Scores of evaluations.")
GUARDRAILS: Final = Instrument("guardrail.checks", _COUNTER, "{check}", (GUARDRAIL, GUARDRAIL_OUTCOME, SUBJECT), "Checks of questions and answers against a rule.")
MODEL_CALLS: Final = Instrument("gen_ai.client.operations", _COUNTER, "{operation}", (MODEL, QUANTIZATION, OUTCOME), "Calls to a model, whether or not their durations are known.")
MODEL_INFERENCE: Final = Instrument("model.inference.duration", _HISTOGRAM, "s", (MODEL, QUANTIZATION), "Time of one call to a model that succeeded; failures are no latency.")
MODEL_OPERATION: Final = Instrument("gen_ai.client.operation.duration", _HISTOGRAM, "s", (MODEL, QUANTIZATION, OUTCOME), "Time of one call to a model, by how it ended: a time-out takes its time, a refusal none.")
MODEL_EMBEDDINGS: Final = Instrument("model.embeddings.duration", _HISTOGRAM, "s", (MODEL, OUTCOME), "Time of one request for embeddings, by how it ended.")
MODEL_TOKENS: Final = Instrument("gen_ai.client.token.usage", _HISTOGRAM, "{token}", (MODEL, TOKEN_TYPE), "Tokens a model read or wrote in one call.")
MODEL_TOKEN_COUNT: Final = Instrument("model.tokens", _COUNTER, "{token}", (MODEL, TOKEN_TYPE), "Tokens that models read and wrote. Those of the cache are among the input, those of reasoning among the output.")
MODEL_COST: Final = Instrument("model.cost", _COUNTER, "{currency}", (MODEL, SUBJECT, ROUTE, CURRENCY), "What calls to models cost, by the prices of `configure(prices=...)`.")
MODEL_COST_UNKNOWN: Final = Instrument("model.cost.unknown", _COUNTER, "{operation}", (MODEL, REASON), "Calls to models whose cost is not known, since the model has no price or its tokens are not known.")
MODEL_FINISHES: Final = Instrument("model.finish_reasons", _COUNTER, "{answer}", (MODEL, FINISH_REASON), "Answers of models, by why they ended: length is one that was cut, content_filter one that was withheld.")
MODEL_REQUESTS: Final = Instrument("model.requests", _COUNTER, "{request}", (MODEL, STATUS_CODE), "HTTP requests of models' clients, each attempt of a call by itself. 429 is a rate limit; timeout and error had no response.")
MODEL_RETRY_WAIT: Final = Instrument("model.retry.wait", _HISTOGRAM, "s", (MODEL,), "Time between an attempt that failed and the next one of the same call.")
FIRST_CHUNK: Final = Instrument("gen_ai.client.operation.time_to_first_chunk", _HISTOGRAM, "s", (MODEL,), "Time from asking a model to the first piece of an answer that it streams.")
CHUNK_TIME: Final = Instrument("gen_ai.client.operation.time_per_output_chunk", _HISTOGRAM, "s", (MODEL,), "Time from one piece of an answer that a model streams to the next.")
MODEL_MEMORY: Final = Instrument("model.memory.usage", _GAUGE, "By", (MODEL,), "Memory a loaded model occupies.")
QUESTIONS: Final = Instrument("student.questions", _COUNTER, "{question}", (SUBJECT, TOPIC), "Questions students asked.")
SESSIONS: Final = Instrument("student.sessions.active", _UP_DOWN, "{session}", (), "Student sessions open now.")
PRACTICE: Final = Instrument("student.practice.answers", _COUNTER, "{answer}", (SUBJECT, CORRECT), "Practice items students answered.")
SYNC_QUEUE: Final = Instrument("sync.queue.size", _UP_DOWN, "{record}", (), "Records waiting to be synchronised.")
SYNCS: Final = Instrument("sync.operations", _COUNTER, "{operation}", (OUTCOME,), "Synchronisations, whether or not their durations are known.")
SYNC_DURATION: Final = Instrument("sync.duration", _HISTOGRAM, "s", (), "Time of one synchronisation that succeeded; failures are no latency.")
SYNC_RECORDS: Final = Instrument("sync.records", _COUNTER, "{record}", (RECORD_TYPE,), "Records synchronised.")
VECTOR_DOCUMENTS: Final = Instrument("vector_store.documents", _GAUGE, "{document}", (COLLECTION,), "Documents in a collection of the vector store.")
VECTOR_SEARCHES: Final = Instrument("vector_store.searches", _COUNTER, "{search}", (COLLECTION, OUTCOME), "Searches in the vector store, whether or not their durations are known.")
VECTOR_SEARCH: Final = Instrument("vector_store.search.duration", _HISTOGRAM, "s", (COLLECTION,), "Time of one search in a collection of the vector store that succeeded; failures are no latency.")
SYSTEM_CPU: Final = Instrument("system.cpu.usage", _GAUGE, "%", (), "Share of all processors of the host in use since the export before.")
SYSTEM_MEMORY: Final = Instrument("system.memory.usage", _GAUGE, "By", (), "Memory of the host that programs cannot have any more.")
SYSTEM_DISK: Final = Instrument("system.disk.usage", _GAUGE, "By", (DISK_PATH,), "Space in use on the file system of a path.")
SYSTEM_DISK_LIMIT: Final = Instrument("system.disk.limit", _GAUGE, "By", (DISK_PATH,), "Space that programs may use on the file system of a path, used or free.")
LOOP_LAG: Final = Instrument("event_loop.lag", _HISTOGRAM, "s", (), "How much later than it asked to a callback of the event loop ran.")
DB_OPERATION_DURATION: Final = Instrument("db.client.operation.duration", _HISTOGRAM, "s", (DB_OPERATION, OUTCOME), "Time of one SQL statement, without fetching its rows.")
DB_CONNECTIONS: Final = Instrument("db.client.connection.count", _UP_DOWN, "{connection}", (DB_POOL, DB_STATE), "Connections of a pool, in use and idle.")
DB_CONNECTIONS_MAX: Final = Instrument("db.client.connection.max", _UP_DOWN, "{connection}", (DB_POOL,), "Most connections a pool may open.")
DB_WAIT: Final = Instrument("db.client.connection.wait_time", _HISTOGRAM, "s", (DB_POOL,), "Time to obtain a connection from a pool.")
CHECK_STATUS: Final = Instrument("health.check.status", _GAUGE, "{status}", (CHECK,), "Last result of a health check: 1 healthy, 0.5 degraded, 0 unhealthy.")
CHECK_DURATION: Final = Instrument("health.check.duration", _GAUGE, "s", (CHECK,), "Time the last run of a health check took.")
HEALTH: Final = Instrument("health.status", _GAUGE, "{status}", (), "Health of the service when it was last asked: 1 healthy, 0.5 degraded, 0 unhealthy.")
UPTIME: Final = Instrument("process.uptime", _GAUGE, "s", (), "Time since the process began.")
OVERFLOW: Final = Instrument("otel_tutor.attribute.folded", _TOTAL, "{value}", (ATTRIBUTE_KEY,), "Attribute values recorded as _OTHER since the attribute had all the values it may have.")
LOST: Final = Instrument("otel_tutor.telemetry.lost", _TOTAL, "{record}", (SIGNAL, LOSS), "Spans, log records and data points that could not be sent: each too large, or refused for what is in it.")
INVALID: Final = Instrument("otel_tutor.measurements.invalid", _COUNTER, "{measurement}", (INSTRUMENT,), "Values that were given for a measurement and are none: no number, negative, infinite.")
# fmt: on

CATALOGUE: Final = (
    HTTP_DURATION,
    HTTP_ACTIVE,
    HTTP_FIRST_BYTE,
    HTTP_REQUEST_IO,
    HTTP_RESPONSE_IO,
    WEBSOCKET_DURATION,
    WEBSOCKET_ACTIVE,
    WEBSOCKET_MESSAGES,
    RAG_QUERIES,
    RAG_RETRIEVAL,
    RAG_DOCUMENTS,
    RAG_GENERATION,
    RAG_EMPTY,
    RAG_SCORE,
    RAG_CITED,
    EVALUATIONS,
    EVALUATION_SCORE,
    GUARDRAILS,
    MODEL_CALLS,
    MODEL_INFERENCE,
    MODEL_OPERATION,
    MODEL_EMBEDDINGS,
    MODEL_TOKENS,
    MODEL_TOKEN_COUNT,
    MODEL_COST,
    MODEL_COST_UNKNOWN,
    MODEL_FINISHES,
    MODEL_REQUESTS,
    MODEL_RETRY_WAIT,
    FIRST_CHUNK,
    CHUNK_TIME,
    MODEL_MEMORY,
    QUESTIONS,
    SESSIONS,
    PRACTICE,
    SYNC_QUEUE,
    SYNCS,
    SYNC_DURATION,
    SYNC_RECORDS,
    VECTOR_DOCUMENTS,
    VECTOR_SEARCHES,
    VECTOR_SEARCH,
    SYSTEM_CPU,
    SYSTEM_MEMORY,
    SYSTEM_DISK,
    SYSTEM_DISK_LIMIT,
    LOOP_LAG,
    DB_OPERATION_DURATION,
    DB_CONNECTIONS,
    DB_CONNECTIONS_MAX,
    DB_WAIT,
    CHECK_STATUS,
    CHECK_DURATION,
    HEALTH,
    UPTIME,
    OVERFLOW,
    LOST,
    INVALID,
)

# The instruments whose values an app states, and all that it gives values for.
STATED: Final = (MODEL_MEMORY, SESSIONS, SYNC_QUEUE, VECTOR_DOCUMENTS)
FROM_APP: Final = (
    *STATED,
    RAG_RETRIEVAL,
    RAG_DOCUMENTS,
    RAG_GENERATION,
    RAG_SCORE,
    RAG_CITED,
    EVALUATION_SCORE,
    MODEL_OPERATION,
    MODEL_TOKENS,
    SYNC_DURATION,
    SYNC_RECORDS,
    VECTOR_SEARCH,
)
