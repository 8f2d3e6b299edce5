"""OTLP over HTTP: the exporters of the extra `http`, on sessions that know how the receiver answered."""

import os
from collections.abc import Callable
from typing import Any, Final

import requests
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # ships no types
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.metrics.export import MetricExportResult
from opentelemetry.sdk.trace.export import SpanExportResult
from requests.adapters import HTTPAdapter

from otel_tutor.pipeline.delivery import Delivery
from otel_tutor.pipeline.signals import Signal

__all__ = ["http_exporter"]

_CONTENT: Final = (400, 413, 422)  # statuses about what a request holds; the others pass, or are about who may send it


class _Session(requests.Session):
    """Takes what the receiver refuses for its content from the exporter, which would lose the whole batch.

    A forked child leaves the connections of its parent to the parent.
    """

    def __init__(self) -> None:
        super().__init__()
        self.refusal = ""  # of the last request; empty where it was taken, or where sending it again may help
        self.content = b""  # of the last response
        self._process = os.getpid()

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Settings of a request, of which `OTEL_EXPORTER_OTLP_CERTIFICATE` comes before `REQUESTS_CA_BUNDLE`."""
        if verify is None and isinstance(self.verify, str):
            verify = self.verify
        return super().merge_environment_settings(url, proxies, stream, verify, cert)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send a request. A refusal for its content is kept, and reads as success: there is nothing left to try again."""
        if os.getpid() != self._process:
            self._process = os.getpid()
            for prefix in tuple(self.adapters):
                self.mount(prefix, HTTPAdapter())
        self.refusal, self.content = "", b""
        response = super().send(request, **kwargs)
        if response.status_code in _CONTENT:
            self.refusal = f"{response.status_code} {response.reason}"
            response.status_code = requests.codes.ok
        else:
            self.content = response.content
        return response


_EXPORTERS: Final[dict[str, tuple[Callable[..., Any], Any]]] = {  # by signal, with the result of a success
    "traces": (OTLPSpanExporter, SpanExportResult.SUCCESS),
    "metrics": (OTLPMetricExporter, MetricExportResult.SUCCESS),
    "logs": (OTLPLogExporter, LogRecordExportResult.SUCCESS),
}


def http_exporter(signal: Signal, collector: str | None, **options: Any) -> Any:
    """An exporter to `collector`, a URL without the path of a signal; None for the URL in the signal's own variable."""
    session = _Session()
    make, success = _EXPORTERS[signal.name]
    endpoint = None if collector is None else f"{collector.rstrip('/')}/v1/{signal.name}"
    exporter = make(endpoint=endpoint, session=session, **options)
    delivery, export = Delivery(signal), exporter.export

    def export_in_parts(batch: Any, *args: Any, **kwargs: Any) -> Any:
        for part in delivery.parts(batch):
            result = export(part, *args, **kwargs)
            if result is not success:
                return result
            if session.refusal:
                delivery.refuse(session.refusal)
            else:
                delivery.accept(_message(signal, session.content))
        return success

    exporter.export = export_in_parts
    return exporter


def _message(signal: Signal, content: bytes) -> Any:
    """What the receiver says of a request that it took; nothing where it says it in another encoding."""
    try:
        return signal.response.FromString(content)
    except DecodeError:
        return signal.response()
