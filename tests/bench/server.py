"""An app behind uvicorn, in a process: `python -m tests.bench.server VARIANT`.

It prints its port, and serves until its standard input ends. Then it prints how many requests it has had.
"""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from tests.bench.apps import ROUTE, greet

__all__ = ["VARIANTS"]


def app_alone() -> FastAPI:
    """Without FastAPI's own telemetry, which would begin as soon as a peer sets providers."""
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})
    app.get(ROUTE)(greet)
    return app


def with_us() -> ASGIApp:
    import otel_tutor

    app = app_alone()
    otel_tutor.configure(app, cardinality_limits={"tutor.subject": 1000})
    return app


def exporting() -> ASGIApp:
    """Ours with 1,000 more series. It exports again and again from SIGUSR1 on, until SIGUSR2."""
    import otel_tutor
    from otel_tutor.monitoring import metrics_collector

    app, goes_on = with_us(), threading.Event()
    signal.signal(signal.SIGUSR1, lambda *_: goes_on.set())
    signal.signal(signal.SIGUSR2, lambda *_: goes_on.clear())

    def export() -> None:
        while goes_on.wait():
            otel_tutor.flush()

    threading.Thread(target=export, daemon=True).start()
    for number in range(250):
        metrics_collector.track_rag_query(f"subject {number}", 0.1, 5, 1.4)
    return app


def instrumentator() -> ASGIApp:
    from prometheus_fastapi_instrumentator import Instrumentator

    app = app_alone()
    Instrumentator().instrument(app).expose(app)
    return app


def contrib() -> ASGIApp:
    from opentelemetry import metrics, trace
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    tracer = TracerProvider()
    tracer.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracer)
    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())]))
    return OpenTelemetryMiddleware(app_alone())


def logfire() -> ASGIApp:
    import logfire

    app = app_alone()
    logfire.configure(send_to_logfire=False, console=False)
    logfire.instrument_fastapi(app)
    return app


VARIANTS: dict[str, Callable[[], Any]] = {
    "none": app_alone,
    "with_us": with_us,
    "exporting": exporting,
    "down": with_us,
    "instrumentator": instrumentator,
    "contrib": contrib,
    "logfire": logfire,
}


def main() -> None:
    """Serve a variant."""
    app = VARIANTS[sys.argv[1]]()
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, loop="uvloop", http="httptools"))

    def stop_at_the_end() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=stop_at_the_end, daemon=True).start()
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    server.run(sockets=[listener])
    sys.stdout.write(f"{server.server_state.total_requests}\n")
    sys.stdout.flush()
    if sys.argv[1] == "down":
        os._exit(0)  # what was recorded has nowhere to go


if __name__ == "__main__":
    main()
