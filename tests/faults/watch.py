"""What is seen while a row runs, twice a second: counters of each hop, memory of the app, alerts that fire."""

import re
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

import httpx2
import psutil

from otel_tutor.errors import StackError
from otel_tutor.tools.stack.backends import Backends

__all__ = ["Watch"]

_INTERVAL: Final = 0.5
_LINE: Final = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
_UPTIME: Final = re.compile(r"^otelcol_process_uptime\w*(?:\{.*\})? (\S+)$", re.MULTILINE)
_LABEL: Final = re.compile(r'(\w+)="([^"]*)"')
# Of the Collector: its counters by what a hop takes in, hands on and loses. The last is a gauge.
_COLLECTOR: Final = re.compile(
    r"otelcol_(receiver_(?:accepted|refused|failed)|exporter_(?:sent|send_failed|enqueue_failed))_(spans|log_records|metric_points)"
)
_SDK: Final = re.compile(r"otel_sdk_(processor|exporter)_(span|log)_(processed|exported)_total|telemetry_lost_total")

Series = tuple[str, tuple[tuple[str, str], ...]]


class Watch(threading.Thread):
    """Runs until `stop()`. Steps of a counter are added up, so that a component that restarts is counted on."""

    def __init__(self, ports: Mapping[str, int], service: str, pids: "list[int]") -> None:
        super().__init__(daemon=True)
        self._ports, self._service, self._pids = ports, service, pids
        self._end = threading.Event()
        self._last: dict[Series, float] = {}
        self.counts: dict[str, float] = defaultdict(float)
        self.gauges: dict[str, float] = {}
        self.restarts = 0  # of the Collector
        self._uptime = 0.0
        self.memory: list[int] = []
        self.alerts: dict[str, float] = {}  # by name, when it was first seen
        self._client = httpx2.Client(timeout=5, trust_env=False)

    def stop(self) -> None:
        """End it, after one last look."""
        self._end.set()
        self.join()

    def run(self) -> None:
        """Look until the end."""
        first = True
        while True:
            ending = self._end.wait(0 if first else _INTERVAL)
            self._look(first=first)
            first = False
            if ending:
                self._client.close()
                return

    def _look(self, *, first: bool) -> None:
        for port, wanted in (("collector-metrics", _COLLECTOR), ("metrics", _SDK)):
            try:
                text = self._client.get(f"http://127.0.0.1:{self._ports[port]}/metrics").text
            except httpx2.HTTPError:
                continue
            self._read(text, wanted, first=first)
        self._read_memory()
        try:
            with Backends(self._ports) as backends:
                firing = backends.query('ALERTS{alertstate="firing"}')
        except StackError:
            return
        for sample in firing:
            if sample.labels.get("job", self._service) in {self._service, *_STACK_JOBS}:
                self.alerts.setdefault(sample.labels["alertname"], time.time())

    def _read(self, text: str, wanted: "re.Pattern[str]", *, first: bool) -> None:
        queues: dict[str, float] = defaultdict(float)
        self._notice_restart(text)
        for name, inner, value in _LINE.findall(text):
            labels = dict(_LABEL.findall(inner))
            if name == "otelcol_exporter_queue_size":
                queues[f"waiting {labels['exporter']} {labels.get('data_type', '')}"] += float(value)
            if name in _QUEUES and labels.get("job") == self._service:
                queues[f"waiting sdk {_QUEUES[name]}"] += float(value)
            if not wanted.match(name) or labels.get("job", self._service) != self._service:
                continue
            series = (name, tuple(sorted(labels.items())))
            before = self._last.get(series)
            now = float(value)
            self._last[series] = now
            if before is None:
                before = now if first else 0.0
            step = now - before if now >= before else now
            self.counts[_key(name, labels)] += step
        self.gauges.update(queues)

    def _notice_restart(self, text: str) -> None:
        """Forget the counters of a Collector that has begun again: it may have counted further than before already."""
        if found := _UPTIME.search(text):
            uptime = float(found[1])
            if uptime < self._uptime:
                self.restarts += 1
                self._last = {series: value for series, value in self._last.items() if not series[0].startswith("otelcol_")}
            self._uptime = uptime

    def _read_memory(self) -> None:
        total = 0
        for pid in self._pids:
            try:
                process = psutil.Process(pid)
                total += sum(each.memory_info().rss for each in (process, *process.children(recursive=True)))
            except psutil.Error:
                continue
        if total:
            self.memory.append(total)


_QUEUES: Final = {"otel_sdk_processor_span_queue_size": "spans", "otel_sdk_processor_log_queue_size": "logs"}
_STACK_JOBS: Final = ("collector", "prometheus", "jaeger", "victorialogs", "alertmanager", "node")


def _key(name: str, labels: Mapping[str, str]) -> str:
    """Short: what, by which exporter or for which reason."""
    parts = [name.removesuffix("_total")]
    parts += [labels[label] for label in ("exporter", "receiver", "signal", "reason", "error_type") if labels.get(label)]
    return " ".join(parts)
