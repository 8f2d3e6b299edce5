"""A request, served in this process without a network: bare, observed by us, and by the peers."""

import logging
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp

from tests.bench.apps import ROUTE, fastapi_app, server, starlette_app
from tests.bench.comparison import added_row
from tests.bench.processes import Effort, Variant, measure, peers_python
from tests.bench.registry import Registry
from tests.bench.table import Row
from tests.bench.trial import Memory, Nothing, Sink, Trial, ours, plain_sdk

__all__ = ["rows"]

EACH = 300  # requests in a round; three spans of each still fit in a queue of the SDK
DURATION = "http.server.request.duration"
OBSERVED = {"spans": EACH, DURATION: EACH, f"exemplars of {DURATION}": 1}


def rows(effort: Effort) -> list[Row]:
    """The rows of requests."""
    here = __name__
    names = ["bare", "with_us", "unsampled", "metrics_only", "instrumentator", "exporter", "contrib"]
    environs = {"unsampled": {"OTEL_TRACES_SAMPLER": "always_off"}}
    on_starlette = measure([Variant(here, name, environ=environs.get(name, {})) for name in names], effort)
    peers = [Variant(here, name, python=peers_python()) for name in ("logfire", "sentry")]
    names = ["bare_fastapi", "with_us_fastapi", "instrumentator_fastapi", "native"]
    on_fastapi = measure([*(Variant(here, name) for name in names), *peers], effort)
    what, fastapi = "request: metrics, span, exemplar, log correlation", "the same, of FastAPI"

    def of_fastapi(peer: str, name: str, aim: float) -> Row:
        return added_row(fastapi, peer, on_fastapi, ("with_us_fastapi", name, "bare_fastapi"), aim)

    return [
        added_row(what, "prometheus-fastapi-instrumentator", on_starlette, ("with_us", "instrumentator", "bare"), 1.0),
        added_row(what, "contrib ASGI", on_starlette, ("with_us", "contrib", "bare"), 0.25),
        of_fastapi("prometheus-fastapi-instrumentator", "instrumentator_fastapi", 1.0),
        of_fastapi("logfire", "logfire", 0.15),
        of_fastapi("FastAPI's own telemetry", "native", 0.5),
        of_fastapi("Sentry", "sentry", 0.3),
        added_row("request, unsampled", "starlette_exporter", on_starlette, ("unsampled", "exporter", "bare"), 1.0),
        added_row("request, metrics only", "starlette_exporter", on_starlette, ("metrics_only", "exporter", "bare"), 1.0),
    ]


def bare() -> Trial:
    return _trial(starlette_app(), Nothing(), {})


def bare_fastapi() -> Trial:
    return _trial(fastapi_app(), Nothing(), {})


def with_us() -> Trial:
    return _configured(starlette_app(), ours(), OBSERVED)


def with_us_fastapi() -> Trial:
    return _configured(fastapi_app(), ours(), OBSERVED)


def unsampled() -> Trial:
    return _configured(starlette_app(), ours(), {DURATION: EACH, "spans": 0})


def metrics_only() -> Trial:
    return _configured(starlette_app(), ours(traces=False), {DURATION: EACH})


def contrib() -> Trial:
    """The ASGI instrumentation as it comes: two further spans a request."""
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

    sink = plain_sdk()
    return _trial(OpenTelemetryMiddleware(starlette_app()), sink, {"spans": 3 * EACH, "http.server.duration": EACH})


def native() -> Trial:
    sink = plain_sdk()
    return _trial(fastapi_app(), sink, {"spans": 3 * EACH, DURATION: EACH})


def logfire() -> Trial:
    import logfire
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    sink, app = Memory(), fastapi_app()
    spans = BatchSpanProcessor(sink.spans)
    metrics = logfire.MetricsOptions(additional_readers=[sink.reader])
    logfire.configure(send_to_logfire=False, console=False, additional_span_processors=[spans], metrics=metrics)
    logfire.instrument_fastapi(app)
    sink.flush = (spans.force_flush,)
    return _trial(app, sink, {"spans": EACH, "http.server.duration": EACH})


def sentry() -> Trial:
    import sentry_sdk
    from sentry_sdk.transport import Transport

    class Kept(Transport):  # type: ignore[misc]  # not installed where types are checked
        """Takes envelopes and encodes none: less than Sentry's own does."""

        transactions = 0

        def capture_envelope(self, envelope: Any) -> None:
            self.transactions += sum(item.headers.get("type") == "transaction" for item in envelope.items)

    kept = Kept()
    sentry_sdk.init("http://key@127.0.0.1:9/1", transport=kept, traces_sample_rate=1.0)

    class Envelopes:
        before = 0

        def drain(self) -> int:
            sentry_sdk.flush()
            return kept.transactions

        def count(self, drained: int) -> Mapping[str, float]:
            number, self.before = drained - self.before, drained
            return {"transactions": number}

    return _trial(fastapi_app(), Envelopes(), {"transactions": EACH})


def instrumentator() -> Trial:
    return _instrumented(starlette_app())


def instrumentator_fastapi() -> Trial:
    return _instrumented(fastapi_app())


def _instrumented(app: Any) -> Trial:
    from prometheus_fastapi_instrumentator import Instrumentator

    sink = Registry("http_requests_total", {"method": "GET", "status": "2xx", "handler": ROUTE})
    Instrumentator(registry=sink.registry).instrument(app)
    return _trial(app, sink, {"http_requests_total": EACH})


def exporter() -> Trial:
    from prometheus_client import REGISTRY
    from starlette_exporter import PrometheusMiddleware

    app = starlette_app()
    app.add_middleware(PrometheusMiddleware)
    labels = {"method": "GET", "path": ROUTE, "status_code": "200", "app_name": "starlette"}
    sink = Registry("starlette_requests_total", labels, REGISTRY)
    return _trial(app, sink, {"starlette_requests_total": EACH})


def _trial(app: ASGIApp, sink: Sink, expected: Mapping[str, float]) -> Trial:
    return Trial(run=server(app, EACH), each=EACH, sink=sink, expected=expected)


def _configured(app: Any, memory: Memory, expected: Mapping[str, float]) -> Trial:
    import otel_tutor

    app.add_route("/log", _log_a_line)
    otel_tutor.configure(app)
    trial = _trial(app, memory, expected)
    trial.verify = lambda: _correlation(app, memory)
    return trial


async def _log_a_line(_: Request) -> Response:
    logging.getLogger("bench").warning("a line in a request")
    return PlainTextResponse("logged")


def _correlation(app: ASGIApp, memory: Memory) -> str:
    """What is wrong with a line that is logged in a request: it has to have the request's trace id."""
    logging.getLogger("bench").addHandler(logging.NullHandler())
    server(app, 1, "/log")()
    counts = memory.count(memory.drain())
    lines = counts["logs"], counts["logs in a trace"]
    return "" if lines == (1, 1) else f"{lines[0]} log lines, {lines[1]} with a trace id, of 1"
