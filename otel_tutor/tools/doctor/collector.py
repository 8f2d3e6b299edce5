"""What the Collector did with the canary, by its own counts before and after."""

import re
import time
from collections.abc import Iterator, Mapping
from typing import Final

import httpx2

from otel_tutor.tools.doctor.finding import Cause, Finding, Symptom, by_key
from otel_tutor.tools.stack.polling import wait_for
from otel_tutor.tools.stack.ports import LOOPBACK, Ports

__all__ = ["CAUSES", "CollectorCounters"]

# fmt: off
CAUSES: Final = by_key(
    Cause("refuses", Symptom.NOTHING, "the Collector refuses telemetry", "see `otel-tutor logs collector`; if it names memory_limiter, raise limit_mib or send less"),
    Cause("elsewhere", Symptom.NOTHING, "this stack's Collector did not receive the canary, another one did", "set OTEL_EXPORTER_OTLP_ENDPOINT to this stack's Collector, or let the other one forward to it"),
    Cause("held", Symptom.NOTHING, "the Collector cannot deliver to a backend", "`otel-tutor logs collector` has the reason; what can be sent again waits in a queue on disk"),
)
# fmt: on
_HOP: Final = "Collector"
_DELIVERED: Final = 2.0  # seconds; its queues are flushed every 0.2 s
_SIGNALS: Final = {"spans": "span", "metric_points": "point", "log_records": "line"}
_COUNT: Final = re.compile(
    r"^otelcol_(?P<what>receiver_accepted|receiver_refused|receiver_failed"
    r"|exporter_sent|exporter_send_failed|exporter_enqueue_failed|exporter_queue_size)"
    r"(?:_(?P<signal>spans|metric_points|log_records))?(?:_total)?\{(?P<labels>.*)\} (?P<value>\S+)",
    re.MULTILINE,
)
_COMPONENT: Final = re.compile(r'\b(?:receiver|exporter)="([^"]*)"')

Key = tuple[str, str, str]  # what, the signal, the receiver or exporter


class CollectorCounters:
    """The Collector's counts since this object was made. Where its page cannot be read there are no findings."""

    def __init__(self, ports: Ports) -> None:
        self._url = f"http://{LOOPBACK}:{ports['collector-metrics']}/metrics"
        self._before = self._read()

    def refused(self) -> str:
        """What was refused since, in words; empty for nothing."""
        return _words(self._grown(self._read(), "receiver_refused", "receiver_failed"))

    def findings(self) -> Iterator[Finding]:
        """What it did since. What it refuses at first and accepts later is a note."""
        started, now = time.monotonic(), self._read()
        if self._before is None or now is None:
            return
        grown = self._grown(now, "receiver_accepted")
        accepted = _words(grown)
        if refused := _words(self._grown(now, "receiver_refused", "receiver_failed")):
            yield Finding(hop=_HOP, cause=CAUSES["refuses"], detail=refused, stops=not accepted)
        if held := wait_for(self._held, lambda names: not names, seconds=_DELIVERED):
            yield Finding(hop=_HOP, cause=CAUSES["held"], detail=", ".join(sorted(held)), stops=False)
        # An app sends points all the time, and a sampler may drop the canary's span: only its line tells that it was here.
        if any(signal == "log_records" for _, signal, _ in grown):
            yield Finding(hop=_HOP, seconds=time.monotonic() - started, detail=accepted)
        else:
            yield Finding(hop=_HOP, cause=CAUSES["elsewhere"], stops=False)

    def _held(self) -> set[str]:
        """Exporters that fail, or whose queue is not empty while they send nothing: a queue alone is a sign of load."""
        now = self._read() or {}
        waiting = {exporter for (what, _, exporter), size in now.items() if what == "exporter_queue_size" and size}
        sent = {exporter for _, _, exporter in self._grown(now, "exporter_sent")}
        failed = {exporter for _, _, exporter in self._grown(now, "exporter_send_failed", "exporter_enqueue_failed")}
        return (waiting - sent) | failed

    def _grown(self, now: Mapping[Key, float] | None, *kinds: str) -> dict[Key, float]:
        """By how much the counts of these kinds have grown. A Collector that was restarted began at 0."""
        if self._before is None or now is None:
            return {}
        grown = {key: value - self._before.get(key, 0) for key, value in now.items() if key[0] in kinds}
        return {key: value if value > 0 else now[key] for key, value in grown.items() if value and now[key]}

    def _read(self) -> dict[Key, float] | None:
        try:
            text = httpx2.get(self._url, timeout=3, trust_env=False).text
        except httpx2.HTTPError:
            return None
        if "otelcol_" not in text:
            return None  # the page of another program
        counts: dict[Key, float] = {}
        for count in _COUNT.finditer(text):
            component = _COMPONENT.search(count["labels"])
            key = (count["what"], count["signal"] or "", component[1] if component else "")
            counts[key] = counts.get(key, 0) + float(count["value"])  # of both transports, of every kind of data
        return counts


def _words(counts: Mapping[Key, float]) -> str:
    """As in "1 span, 30 points, 1 line", of what the app's protocol brought."""
    sums = dict.fromkeys(_SIGNALS, 0)
    for (_, signal, receiver), count in counts.items():
        if receiver.partition("/")[0] == "otlp":  # not what it fetches itself
            sums[signal] += int(count)
    return ", ".join(f"{count} {_SIGNALS[signal]}{'s' * (count > 1)}" for signal, count in sums.items() if count)
