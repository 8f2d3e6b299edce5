"""Every series as a table, made from the catalogue and naming.yaml.

    python -m otel_tutor.tools.reference

writes `collector/reference.md`, for people, and `otel_tutor/series.json`, for apps, which have no YAML. What other libraries
measure is listed here. The tests on the real stack compare all of it with what arrives.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from otel_tutor.naming import Series
from otel_tutor.settings import shipped_config_dir
from otel_tutor.tools.naming import read_naming

__all__ = ["COMMAND", "OTHERS", "Other", "render", "render_json", "write"]

COMMAND: Final = "python -m otel_tutor.tools.reference"


@dataclass(frozen=True, slots=True)
class Other:
    """A family that a library measures, not a row of the catalogue."""

    name: str
    type: str
    unit: str
    labels: tuple[str, ...]
    meaning: str
    source: str


_PROCESS: Final = "opentelemetry-instrumentation-system-metrics"
_SDK: Final = "opentelemetry-sdk"
_SPANS: Final = "span_metrics connector"
_SPAN_LABELS: Final = ("service_name", "span_kind", "span_name", "status_code")
_COMPONENT: Final = ("otel_component_name", "otel_component_type")
_EXPORTER: Final = (*_COMPONENT, "server_address", "server_port")
_GC: Final = ("cpython_gc_generation", "generation")

OTHERS: Final = (
    Other("process_cpu_time_seconds_total", "counter", "s", ("type",), "Processor time of the process.", _PROCESS),
    Other("process_memory_usage_bytes", "gauge", "By", (), "Physical memory of the process.", _PROCESS),
    Other("process_memory_virtual_bytes", "gauge", "By", (), "Virtual memory of the process.", _PROCESS),
    Other("process_thread_count", "gauge", "{thread}", (), "Threads of the process.", _PROCESS),
    Other("process_open_file_descriptor_count", "gauge", "{file}", (), "Files and sockets it holds open.", _PROCESS),
    Other("process_context_switches_total", "counter", "{switch}", ("type",), "Context switches of the process.", _PROCESS),
    Other("cpython_gc_collections_total", "counter", "{collection}", _GC, "Runs of the garbage collector.", _PROCESS),
    Other("cpython_gc_collected_objects_total", "counter", "{object}", _GC, "Objects it freed.", _PROCESS),
    Other("cpython_gc_uncollectable_objects_total", "counter", "{object}", _GC, "Objects it could not free.", _PROCESS),
    Other("otel_sdk_exporter_span_inflight", "gauge", "{span}", _EXPORTER, "Spans being sent.", _SDK),
    Other("otel_sdk_exporter_span_exported_total", "counter", "{span}", _EXPORTER, "Spans sent, or given up.", _SDK),
    Other("otel_sdk_exporter_log_inflight", "gauge", "{record}", _EXPORTER, "Log records being sent.", _SDK),
    Other("otel_sdk_exporter_log_exported_total", "counter", "{record}", _EXPORTER, "Log records sent, or given up.", _SDK),
    Other("otel_sdk_exporter_metric_data_point_inflight", "gauge", "{data_point}", _EXPORTER, "Points being sent.", _SDK),
    Other("otel_sdk_exporter_metric_data_point_exported_total", "counter", "{data_point}", _EXPORTER, "Points sent.", _SDK),
    Other("otel_sdk_exporter_operation_duration_seconds", "histogram", "s", _EXPORTER, "Time of sending a batch.", _SDK),
    Other("otel_sdk_processor_span_processed_total", "counter", "{span}", _COMPONENT, "Spans queued, or dropped.", _SDK),
    Other("otel_sdk_processor_span_queue_size", "gauge", "{span}", _COMPONENT, "Spans waiting to be sent.", _SDK),
    Other("otel_sdk_processor_log_processed_total", "counter", "{record}", _COMPONENT, "Records queued, or dropped.", _SDK),
    Other("otel_sdk_processor_log_queue_size", "gauge", "{record}", _COMPONENT, "Log records waiting to be sent.", _SDK),
    Other("traces_span_metrics_calls_total", "counter", "1", _SPAN_LABELS, "Spans that ended.", _SPANS),
    Other("traces_span_metrics_duration_milliseconds", "histogram", "ms", _SPAN_LABELS, "Time a span took.", _SPANS),
    Other("telemetry_unconverted_total", "counter", "1", ("metric",), "Measurements left without buckets.", "naming.yaml"),
)

_HEAD: Final = f"""# Every series

What Prometheus has of an observed app. Each series also has the labels `job` (the service) and `instance` (its process); a
histogram is `_bucket`, `_sum` and `_count`. Made by `{COMMAND}` from `otel_tutor/catalogue.py` and
[naming.yaml](naming.yaml): edits belong there.
"""

_OTHERS_HEAD: Final = """
## Measured by others

Where something failed or was dropped, the SDK's counters say so in a further label, `error_type`.
"""


def render(series: Iterable[Series], others: Iterable[Other] = OTHERS) -> str:
    """The whole page, in Markdown."""
    rows = [(*_cells(family), f"`{family.instrument}`") for family in series]
    more = [(*_cells(family), family.source) for family in others]
    table = _table(("series", "type", "unit", "labels", "meaning", "instrument"), rows)
    return "\n".join([_HEAD, *table, _OTHERS_HEAD, *_table(("series", "type", "unit", "labels", "meaning", "by"), more), ""])


def render_json(series: Iterable[Series]) -> str:
    """The fields of every series as JSON, one series a line."""
    names = [field.name for field in fields(Series)]
    lines = [json.dumps({name: getattr(family, name) for name in names}) for family in series]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def _cells(family: Series | Other) -> tuple[str, ...]:
    labels = ", ".join(f"`{label}`" for label in family.labels) or "-"
    return f"`{family.name}`", family.type, f"`{family.unit}`", labels, family.meaning


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(row)} |"


def write(configuration: Path, package: Path) -> None:
    """Write both files: the reference into `collector/` of a configuration folder, the table into the package."""
    series = read_naming(configuration)
    (configuration / "collector" / "reference.md").write_text(render(series), encoding="utf-8")
    (package / "series.json").write_text(render_json(series), encoding="utf-8")


if __name__ == "__main__":
    write(shipped_config_dir(), Path(__file__).parents[1])
