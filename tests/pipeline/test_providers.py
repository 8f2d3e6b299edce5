"""Providers are flushed and stopped under a deadline, whatever their exporters do."""

import threading
from collections.abc import Sequence

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_tutor.pipeline import Exporters, Providers
from otel_tutor.settings import Settings
from tests.support.fork import in_a_fork


class Hanging(SpanExporter):
    """Holds every export until it is shut down, as one whose Collector never answers."""

    def __init__(self) -> None:
        self.exporting, self.cut_off = threading.Event(), threading.Event()

    def export(self, _: Sequence[ReadableSpan]) -> SpanExportResult:
        self.exporting.set()
        self.cut_off.wait()
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        self.cut_off.set()


def build(*spans: SpanExporter) -> Providers:
    return Providers.build(Settings.read(environ={}), Exporters(spans=spans), Resource({"service.instance.id": "parent"}))


def record(providers: Providers, name: str = "work") -> None:
    providers.tracer.get_tracer("test").start_span(name).end()


def test_a_flush_returns_when_everything_is_sent() -> None:
    exporter = InMemorySpanExporter()
    providers = build(exporter)
    record(providers)
    providers.flush()

    assert [span.name for span in exporter.get_finished_spans()] == ["work"]
    providers.shutdown(1)


def test_a_flush_with_a_deadline_returns_while_an_exporter_still_hangs() -> None:
    exporter = Hanging()
    providers = build(exporter)
    record(providers)
    providers.flush(0.05)

    assert not exporter.cut_off.is_set()
    providers.shutdown(0.5)


def test_a_shutdown_cuts_off_an_exporter_that_hangs() -> None:
    exporter = Hanging()
    providers = build(exporter)
    record(providers)
    threading.Thread(target=providers.flush, daemon=True).start()
    assert exporter.exporting.wait(60)
    providers.shutdown(0.5)

    assert exporter.cut_off.is_set()


def test_a_shutdown_sends_what_is_left() -> None:
    exporter = InMemorySpanExporter()
    providers = build(exporter)
    record(providers)
    providers.shutdown(60)

    assert [span.name for span in exporter.get_finished_spans()] == ["work"]


def test_signals_that_go_nowhere_are_stopped_as_well() -> None:
    providers = build()
    record(providers)
    providers.flush(1)
    providers.shutdown(60)

    assert [stopper.is_alive() for stopper in providers._stoppers] == [False] * 3


def test_a_forked_child_has_its_own_name_and_sends_its_own_spans() -> None:
    exporter = InMemorySpanExporter()
    providers = build(exporter)
    record(providers, "of the parent")

    def in_child() -> list[object]:
        providers.reset_after_fork(lambda: Resource({"service.instance.id": "child"}))
        record(providers, "of the child")
        providers.shutdown(60)
        spans = exporter.get_finished_spans()
        return [spans[-1].name, spans[-1].resource.attributes["service.instance.id"]]

    assert in_a_fork(in_child) == ["of the child", "child"]
    providers.shutdown(60)
    assert [span.name for span in exporter.get_finished_spans()] == ["of the parent"]
