"""What the Collector itself says it did with the canary: its own counts, before and after."""

import re
import time
from collections.abc import Iterator, Mapping
from typing import Final

import httpx2

from otel_tutor.tools.doctor.finding import Finding
from otel_tutor.tools.stack.polling import wait_for
from otel_tutor.tools.stack.ports import LOOPBACK, Ports

__all__ = ["Account"]

_HOP: Final = "Collector"
_HANDED_ON: Final = 2.0  # seconds; its queues are flushed every 0.2 s
_SIGNALS: Final = {"spans": "span", "metric_points": "point", "log_records": "line"}
_COUNT: Final = re.compile(
    r"^otelcol_(?P<what>receiver_accepted|receiver_refused|receiver_failed"
    r"|exporter_sent|exporter_send_failed|exporter_enqueue_failed|exporter_queue_size)"
    r"(?:_(?P<signal>spans|metric_points|log_records))?(?:_total)?\{(?P<labels>.*)\} (?P<value>\S+)",
    re.MULTILINE,
)
_WHO: Final = re.compile(r'\b(?:receiver|exporter)="([^"]*)"')

Key = tuple[str, str, str]  # what, of which signal, by which receiver or exporter


class Account:
    """The Collector's counts from here on. Where its page cannot be read, as on another machine, it has nothing to say."""

    def __init__(self, ports: Ports) -> None:
        self._url = f"http://{LOOPBACK}:{ports['collector-metrics']}/metrics"
        self._before = self._read()

    def refused(self) -> str:
        """What was refused since, in words; empty for nothing."""
        return _words(self._grown(self._read(), "receiver_refused", "receiver_failed"))

    def findings(self) -> Iterator[Finding]:
        """What it did since. What it refuses at first, and takes later, is worth a note."""
        started, now = time.monotonic(), self._read()
        if self._before is None or now is None:
            return
        accepted = _words(self._grown(now, "receiver_accepted"))
        if refused := _words(self._grown(now, "receiver_refused", "receiver_failed")):
            yield Finding(hop=_HOP, cause="refuses", detail=refused, stops=not accepted)
        if held := wait_for(self._held, lambda names: not names, seconds=_HANDED_ON):
            yield Finding(hop=_HOP, cause="held", detail=", ".join(sorted(held)), stops=False)
        if accepted:
            yield Finding(hop=_HOP, seconds=time.monotonic() - started, detail=accepted)
        else:
            yield Finding(hop=_HOP, cause="elsewhere", stops=False)

    def _held(self) -> set[str]:
        """Exporters that fail, or have something to send and have sent nothing since: a queue alone is a sign of load."""
        now = self._read() or {}
        waiting = {who for (what, _, who), size in now.items() if what == "exporter_queue_size" and size}
        sent = {who for _, _, who in self._grown(now, "exporter_sent")}
        failed = {who for _, _, who in self._grown(now, "exporter_send_failed", "exporter_enqueue_failed")}
        return (waiting - sent) | failed

    def _grown(self, now: Mapping[Key, float] | None, *kinds: str) -> dict[Key, float]:
        """By how much the counts of these kinds are above what they were. A Collector that was restarted began at 0."""
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
            return None  # somebody else's page
        counts: dict[Key, float] = {}
        for found in _COUNT.finditer(text):
            who = _WHO.search(found["labels"])
            key = (found["what"], found["signal"] or "", who[1] if who else "")
            counts[key] = counts.get(key, 0) + float(found["value"])  # of both transports, of every kind of data
        return counts


def _words(counts: Mapping[Key, float]) -> str:
    """As in "1 span, 30 points, 1 line", of what the app's protocol brought."""
    sums = dict.fromkeys(_SIGNALS, 0)
    for (_, signal, who), count in counts.items():
        if who.partition("/")[0] == "otlp":  # not what it fetches itself
            sums[signal] += int(count)
    return ", ".join(f"{count} {_SIGNALS[signal]}{'s' * (count > 1)}" for signal, count in sums.items() if count)
