"""OTLP receivers over gRPC, with the limit of 4 MiB that gRPC's servers have, and over HTTP: they keep what arrives."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from gzip import decompress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import grpc  # type: ignore[import-untyped]  # ships no types
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import add_LogsServiceServicer_to_server
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import add_MetricsServiceServicer_to_server
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import add_TraceServiceServicer_to_server

__all__ = ["Receiver", "http_receiver", "receiver"]

# Called with each request before it is kept; it may abort it, or return the response that is sent. Over HTTP, what it is
# called with next is None, and it may return a status.
Judge = Callable[[Any, grpc.ServicerContext], Any]


class Receiver:
    """What has arrived, as protobuf messages, and with which resource."""

    def __init__(self) -> None:
        self.address = ""
        self.clear()

    def clear(self) -> None:
        """Forget what has arrived, and take whatever comes."""
        self.spans: list[Any] = []
        self.log_records: list[Any] = []
        self.metrics: list[Any] = []
        self.resources: list[Any] = []
        self.scopes: list[Any] = []
        self.requests = 0
        self.connections: set[tuple[str, int]] = set()
        self.judge: Judge = lambda *_: None

    @property
    def points(self) -> dict[str, list[Any]]:
        """Data points by the name of their metric."""
        points: dict[str, list[Any]] = {}
        for metric in self.metrics:
            points.setdefault(metric.name, []).extend(getattr(metric, metric.WhichOneof("data")).data_points)
        return points

    @property
    def bodies(self) -> list[str]:
        """The text of each log record."""
        return [record.body.string_value for record in self.log_records]

    def keep(self, keep: Callable[[Any], None], response: type[Any]) -> Any:
        """What answers one signal's requests."""

        class Service:
            def Export(service, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802, N805 - gRPC's name
                self.requests += 1
                answer = self.judge(request, context)
                keep(request)
                return answer or response()

        return Service()

    def keep_spans(self, request: Any) -> None:
        for of_resource in request.resource_spans:
            self._keep(of_resource.resource, of_resource.scope_spans)
            self.spans += [span for scope in of_resource.scope_spans for span in scope.spans]

    def keep_logs(self, request: Any) -> None:
        for of_resource in request.resource_logs:
            self._keep(of_resource.resource, of_resource.scope_logs)
            self.log_records += [record for scope in of_resource.scope_logs for record in scope.log_records]

    def keep_metrics(self, request: Any) -> None:
        for of_resource in request.resource_metrics:
            self._keep(of_resource.resource, of_resource.scope_metrics)
            self.metrics += [metric for scope in of_resource.scope_metrics for metric in scope.metrics]

    def _keep(self, resource: Any, scopes: Any) -> None:
        self.resources.append(resource)
        self.scopes += [scope.scope for scope in scopes]


def values(message: Any) -> dict[str, str]:
    """The text attributes of a resource, a span, a log record or a point."""
    return {attribute.key: attribute.value.string_value for attribute in message.attributes}


@contextmanager
def receiver(*, largest: int = 4 << 20) -> Iterator[Receiver]:
    """A receiver that runs as long as the block, at `address`; largest: bytes that it takes at once, -1 for any number."""
    kept = Receiver()
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", largest)])
    add_TraceServiceServicer_to_server(kept.keep(kept.keep_spans, ExportTraceServiceResponse), server)  # type: ignore[no-untyped-call]  # generated
    add_MetricsServiceServicer_to_server(kept.keep(kept.keep_metrics, ExportMetricsServiceResponse), server)  # type: ignore[no-untyped-call]  # generated
    add_LogsServiceServicer_to_server(kept.keep(kept.keep_logs, ExportLogsServiceResponse), server)  # type: ignore[no-untyped-call]  # generated
    kept.address = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield kept
    finally:
        server.stop(0).wait()


@contextmanager
def http_receiver() -> Iterator[Receiver]:
    """A receiver over HTTP that runs as long as the block, at `address`."""
    kept = Receiver()
    signals: dict[str, tuple[Any, Any, Callable[[Any], None]]] = {
        "/v1/traces": (ExportTraceServiceRequest, ExportTraceServiceResponse, kept.keep_spans),
        "/v1/metrics": (ExportMetricsServiceRequest, ExportMetricsServiceResponse, kept.keep_metrics),
        "/v1/logs": (ExportLogsServiceRequest, ExportLogsServiceResponse, kept.keep_logs),
    }

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            kept.requests += 1
            kept.connections.add(self.client_address)
            body = self.rfile.read(int(self.headers["Content-Length"]))
            # Langfuse has a path of its own before these.
            request_type, response_type, keep = signals[self.path[self.path.index("/v1/") :]]
            gzipped = self.headers.get("Content-Encoding") == "gzip"
            request = request_type.FromString(decompress(body) if gzipped else body)
            answer = kept.judge(request, None)
            if not isinstance(answer, int):
                keep(request)
            content = b"" if isinstance(answer, int) else (answer or response_type()).SerializeToString()
            self.send_response(answer if isinstance(answer, int) else 200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.address = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
