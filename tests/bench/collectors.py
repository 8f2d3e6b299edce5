"""What our Collector costs: records for each second of its processors, beside the pipelines without our processors.

Both have the same receivers and exporters, our queues on disk among them; what they export to is a Collector that throws it
away. Then the processors are added one by one.
"""

import copy
import functools
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml

from otel_tutor.tools.naming.files import merge
from otel_tutor.tools.stack.configuration import collector_files
from otel_tutor.tools.stack.native.programs import Layout, stack_environment
from tests.bench.otelcol import Collector, bare_configuration, binaries, collector
from tests.bench.payloads import Payload, payloads, send
from tests.bench.processes import REPOSITORY, Effort, LostError
from tests.bench.table import Row, quartiles
from tests.support.ports import unused_ports

__all__ = ["merged_configuration", "rows", "start"]

NOUNS = {"traces": "spans", "metrics": "points", "logs": "records"}
RECEIVED = {
    "traces": "otelcol_receiver_accepted_spans",
    "metrics": "otelcol_receiver_accepted_metric_points",
    "logs": "otelcol_receiver_accepted_log_records",
}
TIMES = {"traces": 60, "metrics": 60, "logs": 60}  # requests of a round
EXPORTERS = {"traces": ["otlp_grpc/jaeger"], "metrics": ["prometheus"], "logs": ["otlp_http/victorialogs", "file"]}
# What is added to the pipeline of a signal, one after the other; the last one is what config.yaml has.
STEPS: Mapping[str, Sequence[tuple[str, Sequence[str]]]] = {
    "traces": [
        ("memory limit", ["memory_limiter"]),
        ("content", ["transform/content"]),
        ("names exposed for the redaction", ["transform/expose", "transform/restore"]),
        ("redaction", ["redaction", "redaction/shapes"]),
        ("span metrics", []),
    ],
    "metrics": [
        ("memory limit", ["memory_limiter"]),
        ("redaction", ["redaction", "redaction/shapes"]),
        ("naming", ["transform/naming"]),
    ],
    "logs": [
        ("memory limit", ["memory_limiter"]),
        ("content", ["transform/content"]),
        ("redaction", ["redaction", "redaction/shapes"]),
    ],
}


def rows(effort: Effort) -> list[Row]:
    """The rows of Collectors."""
    prepared = payloads()
    found = []
    for signal in NOUNS:
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            found += _rows_of(signal, prepared[signal], Path(folder), stack, effort)
    return found


def _rows_of(signal: str, payload: Payload, folder: Path, stack: ExitStack, effort: Effort) -> list[Row]:
    ours = merged_configuration()
    variants = {"without processors": _reduced(ours, signal, [], span_metrics=False), "ours": ours}
    processors: list[str] = []
    for title, added in STEPS[signal]:
        processors = _ordered(ours, signal, [*processors, *added])
        variants[f"+ {title}"] = _reduced(ours, signal, processors, span_metrics=title == "span metrics")
    subjects = [start(stack, folder / str(number), title, each) for number, (title, each) in enumerate(variants.items())]
    rates: dict[str, list[float]] = defaultdict(list)
    for number in range(max(2, effort.loads // 2) + 1):
        for title, running, sink in subjects:
            rate = _rate(signal, payload, running, sink)
            if number:  # the first fills caches
                rates[title].append(rate)
    bare, noun = rates["without processors"], NOUNS[signal]
    what = f"Collector, {noun} for each processor second"
    found = [_row(what, "the same exporters without processors", rates["ours"], bare, 0.6)]
    before = "without processors"
    for title in list(rates)[2:]:
        found.append(_row(f"{what}: {title}", "without it", rates[title], rates[before], None))
        before = title
    return found


def merged_configuration() -> dict[str, Any]:
    """Our files as the Collector merges them."""
    files = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in collector_files(REPOSITORY))
    return dict(functools.reduce(merge, files))


def _ordered(ours: Mapping[str, Any], signal: str, processors: Sequence[str]) -> list[str]:
    """In the order of our pipeline."""
    return [each for each in ours["service"]["pipelines"][f"{signal}/in"]["processors"] if each in processors]


def _reduced(ours: Mapping[str, Any], signal: str, processors: Sequence[str], *, span_metrics: bool) -> dict[str, Any]:
    """Our configuration with one pipeline for each signal, and these processors in the one of `signal`."""
    reduced = copy.deepcopy(dict(ours))
    pipelines: dict[str, Any] = {
        each: {"receivers": ["otlp"], "exporters": list(exporters)} for each, exporters in EXPORTERS.items()
    }
    pipelines[signal]["processors"] = list(processors)
    connectors = reduced.pop("connectors")
    if span_metrics:
        reduced["connectors"] = {"span_metrics": connectors["span_metrics"]}
        pipelines["traces"]["exporters"].append("span_metrics")
        pipelines["metrics/spans"] = {
            "receivers": ["span_metrics"],
            "processors": ["transform/spans"],
            "exporters": ["prometheus"],
        }
    reduced["service"]["pipelines"] = pipelines
    return reduced


def start(stack: ExitStack, folder: Path, title: str, configuration: Mapping[str, Any]) -> tuple[str, Collector, Collector]:
    """A Collector, and the one that it exports to."""
    sink_ports = unused_ports()
    throws_away = bare_configuration(sink_ports)
    throws_away["receivers"]["otlp"]["protocols"]["http"]["logs_url_path"] = "/insert/opentelemetry/v1/logs"
    sink = stack.enter_context(collector(folder / "sink", sink_ports, throws_away))
    ports = unused_ports()
    layout = Layout(binaries=binaries(), configuration=REPOSITORY, data=folder / "data", ports=ports)
    environ = {
        **stack_environment(layout),
        "OTEL_TUTOR_COLLECTOR_DATA": str(folder / "data"),
        "OTEL_TUTOR_JAEGER_OTLP": sink.grpc.removeprefix("http://"),
        "OTEL_TUTOR_VICTORIALOGS": sink.http,
    }
    return title, stack.enter_context(collector(folder, ports, configuration, environ)), sink


def _rate(signal: str, payload: Payload, running: Collector, sink: Collector) -> float:
    """Records for each processor second, from the first sent to the last exported. Raises LostError."""
    family, number = RECEIVED[signal], payload.records * TIMES[signal]
    before, before_sink, began = running.total(family), sink.total(family), running.processor_seconds()
    send(running.grpc, payload, TIMES[signal])
    if signal != "metrics":  # those are kept for Prometheus, the others are sent on
        arrived = sink.settled(family, before_sink + number, seconds=60) - before_sink
        if arrived != number:
            raise LostError(f"collectors: {arrived:g} {NOUNS[signal]} of {number} were sent on")
    spent = running.processor_seconds() - began
    if (accepted := running.total(family) - before) != number:
        raise LostError(f"collectors: {accepted:g} {NOUNS[signal]} of {number} were accepted")
    return number / spent


def _row(what: str, peer: str, ours: Sequence[float], theirs: Sequence[float], aim: float | None) -> Row:
    low, middle, high = quartiles([one / other for one, other in zip(ours, theirs, strict=True)])
    one, other = (f"{quartiles(rates)[1]:,.0f}/s" for rates in (ours, theirs))
    return Row(what=what, peer=peer, ours=one, theirs=other, value=middle, low=low, high=high, aim=aim, at_least=True)
