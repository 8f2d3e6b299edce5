"""Overlays change where telemetry goes, without a change to the base or the app."""

import asyncio
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

from otel_tutor.errors import StackError
from otel_tutor.settings import shipped_config_dir
from otel_tutor.tools.exercise.load import run_load
from otel_tutor.tools.stack.backends import Backends
from otel_tutor.tools.stack.configuration import check_by_components
from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.native.programs import Layout, Program, stack_environment
from otel_tutor.tools.stack.native.stack import NativeStack
from otel_tutor.tools.stack.polling import wait_for
from otel_tutor.tools.stack.ports import LOOPBACK, variable
from tests.support.ports import unused_ports
from tests.support.stack import PAGE, operations

OVERLAYS = sorted(path.stem for path in (shipped_config_dir() / "collector" / "overlays").glob("*.yaml"))


def environment(data: Path) -> dict[str, str]:
    return stack_environment(Layout(binaries={}, configuration=shipped_config_dir(), data=data, ports=unused_ports()))


@pytest.mark.parametrize("overlays", [*([name] for name in OVERLAYS), OVERLAYS], ids=str)
def test_every_overlay_is_valid_alone_and_with_all_others(binaries: Binaries, tmp_path: Path, overlays: list[str]) -> None:
    check_by_components(binaries, shipped_config_dir(), environment(tmp_path), overlays)


def test_an_overlay_that_does_not_exist_is_named_with_those_that_do(binaries: Binaries, tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"overlay 'thanos' does not exist: use one of loki, .*tail-sampling"):
        check_by_components(binaries, shipped_config_dir(), environment(tmp_path), ["thanos"])


# To have metrics in another store only: the pipeline of the base gets another exporter.
SWAPPED = """
service:
  pipelines:
    metrics/prometheus:
      exporters: [prometheus_remote_write]
"""


def second_stores(binaries: Binaries, data: Path, ports: dict[str, int]) -> list[Program]:
    """A Prometheus that is written to, and another Jaeger."""
    prometheus = f"{LOOPBACK}:{ports['second-prometheus']}"
    (data / "second.yaml").write_text("global: {}\n", encoding="utf-8")
    arguments = [f"--config.file={data / 'second.yaml'}", f"--storage.tsdb.path={data / 'second'}"]
    listening = [f"--web.listen-address={prometheus}", "--web.enable-remote-write-receiver", "--web.enable-otlp-receiver"]
    jaeger = {variable(name): str(ports[f"second-{name}"]) for name in ports if f"second-{name}" in ports}
    return [
        Program(
            name="second-prometheus",
            command=(str(binaries["prometheus"]), *arguments, *listening),
            ports=("second-prometheus",),
            ready=f"http://{prometheus}/-/ready",
        ),
        Program(
            name="second-jaeger",
            command=(str(binaries["jaeger"]), f"--config={data / 'config' / 'collector' / 'backends' / 'jaeger.yaml'}"),
            ports=("second-jaeger",),
            ready=f"http://{LOOPBACK}:{ports['second-jaeger-health']}/status",
            environment={**jaeger, "OTEL_TUTOR_JAEGER_DATA": str(data / "second-jaeger")},
        ),
    ]


@pytest.fixture
def elsewhere(
    binaries: Binaries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Backends, Backends, str]]:
    """The stores of the base, the second ones, and the tutor that knows of neither."""
    first, others = unused_ports(), unused_ports()
    ports = {**first, **{f"second-{name}": number for name, number in others.items()}}
    monkeypatch.setenv("OTEL_TUTOR_REMOTE_WRITE", f"http://{LOOPBACK}:{others['prometheus']}/api/v1/write")
    monkeypatch.setenv("OTEL_TUTOR_SECOND_TRACES", f"{LOOPBACK}:{others['jaeger-otlp']}")
    monkeypatch.setenv("OTEL_TUTOR_SECOND_TRACES_INSECURE", "true")
    swapped = tmp_path / "swapped.yaml"
    swapped.write_text(SWAPPED, encoding="utf-8")
    data = tmp_path / "data"
    data.mkdir()
    stack = NativeStack(data, binaries=binaries, die_with_parent=True)
    stack.up(
        ports,
        overlays=["remote-write", "otlp-traces", "native-histograms", str(swapped)],
        without=PAGE,
        extra=second_stores(binaries, data, ports),
    )
    try:
        with Backends(first) as base, Backends(others) as second:
            yield base, second, f"http://{LOOPBACK}:{first['app']}"
    finally:
        stack.down()


def test_overlays_swap_the_store_of_metrics_and_add_one_of_traces(elsewhere: tuple[Backends, Backends, str]) -> None:
    base, second, app = elsewhere
    load = asyncio.run(run_load(app, requests=60))

    def counted() -> float:
        return sum(sample.value for sample in second.query('http_requests_total{job="tutor"}'))

    assert wait_for(counted, lambda seen: seen == sum(load.requests.values()), seconds=40) == sum(load.requests.values())
    assert second.query('rag_retrieval_duration_seconds_bucket{le="0.5"}')
    for name in ("system_memory_usage_bytes", "student_questions_total", "sync_records_processed_total"):
        assert wait_for(functools.partial(second.query, name), bool, seconds=30), name
    assert base.query('http_requests_total{job="tutor"}') == []
    for traces in (base, second):
        assert wait_for(functools.partial(operations, traces, "tutor"), lambda seen: "rag.query" in seen, seconds=30)
    native = 'histogram_count(http_server_request_duration_seconds{job="tutor"})'
    assert wait_for(lambda: base.query(native), bool, seconds=40)
    assert base.query('{__name__=~"http_server_active_requests.*"}') == []


def test_a_store_that_takes_otlp_shows_the_names_that_the_file_gave(
    binaries: Binaries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, others = unused_ports(), unused_ports()
    ports = {**first, "second-prometheus": others["prometheus"]}
    address = f"http://{LOOPBACK}:{others['prometheus']}/api/v1/otlp/v1/metrics"
    monkeypatch.setenv("OTEL_TUTOR_PROMETHEUS_OTLP", address)
    data = tmp_path / "data"
    data.mkdir()
    stack = NativeStack(data, binaries=binaries, die_with_parent=True)
    store, _ = second_stores(binaries, data, {**ports, "second-jaeger-health": 0})
    stack.up(ports, overlays=["prometheus-otlp"], without=PAGE, extra=[store])
    try:
        asyncio.run(run_load(f"http://{LOOPBACK}:{first['app']}", requests=30))
        with Backends(others) as second:
            names = "http_requests_total|rag_retrieval_duration_seconds_bucket|system_memory_usage_bytes|health_status"
            expression = f'count by (__name__) ({{job="tutor",__name__=~"{names}"}})'
            assert len(wait_for(lambda: second.query(expression), lambda seen: len(seen) == 4, seconds=40)) == 4
    finally:
        stack.down()
