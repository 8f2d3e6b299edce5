"""In = out + lost + waiting, by the counters that the SDK and the Collector keep."""

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["account"]

# By signal: what the SDK's metrics, the Collector's, and the store's exporter call it.
_SIGNALS: Final = {
    "traces": ("span", "spans", "otlp_grpc/jaeger"),
    "logs": ("log", "log_records", "otlp_http/victorialogs"),
}


def account(counts: Mapping[str, float], waiting: Mapping[str, float], *, collector_speaks: bool) -> list[dict[str, Any]]:
    """A line for each signal. Of a Collector that was restarted, the last half second is unknown: its hop is left out."""
    return [_line(signal, counts, waiting, collector_speaks=collector_speaks) for signal in _SIGNALS]


def _line(
    signal: str, counts: Mapping[str, float], waiting: Mapping[str, float], *, collector_speaks: bool
) -> dict[str, Any]:
    item, items, exporter = _SIGNALS[signal]
    processed, exported = f"otel_sdk_processor_{item}_processed", f"otel_sdk_exporter_{item}_exported"
    dropped, failed = _sum(counts, f"{processed} "), _sum(counts, f"{exported} ")
    refused = _sum(counts, f"telemetry_lost {signal}")
    in_queue = waiting.get(f"waiting sdk {'spans' if item == 'span' else 'logs'}", 0)
    recorded = counts.get(processed, 0) + dropped + in_queue
    sent, lost = counts.get(exported, 0) - refused, dropped + failed + refused
    line: dict[str, Any] = {"signal": signal, "recorded": recorded, "sent": sent, "lost": lost, "waiting": in_queue}
    if not collector_speaks:
        return {**line, "taken": None, "handed": None, "lost there": None, "difference": recorded - sent - lost - in_queue}
    taken = _sum(counts, f"otelcol_receiver_accepted_{items} ")
    handed = counts.get(f"otelcol_exporter_sent_{items} {exporter}", 0)
    lost_there = counts.get(f"otelcol_exporter_send_failed_{items} {exporter}", 0)
    steps = (recorded - sent - lost - in_queue, sent - taken, taken - handed - lost_there)
    return {**line, "taken": taken, "handed": handed, "lost there": lost_there, "difference": sum(map(abs, steps))}


def _sum(counts: Mapping[str, float], prefix: str) -> float:
    return sum(count for name, count in counts.items() if name.startswith(prefix))
