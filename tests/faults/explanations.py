"""Why each loss happens, and how large it can be; by row."""

from collections.abc import Mapping
from typing import Final

__all__ = ["EXPLANATIONS"]

_SPAN_METRICS: Final = (
    "of the span metrics what the Collector counted since it was last scraped: it adds them up in memory, hands "
    "them over every 5 s and is scraped every 5 s, so up to 10 s. They begin at zero again, with a start that "
    "Prometheus sees: increase() does not go down."
)

EXPLANATIONS: Final[Mapping[str, str]] = {
    "baseline": ("nothing is lost."),
    "gunicorn-recycle": ("nothing is lost. More is stored than was answered where the load ended before an answer came."),
    "collector-down60": (
        "nothing of the app is lost: 16,384 spans and as many log records wait in each process, which is two "
        "minutes of this load; at 1,000 requests a second it is 8 s of spans and 16 s of lines, and the oldest "
        "are dropped and counted as `queue_full`. The most that was held took 11 MB here; a full queue of such "
        "spans takes some 15 MB. Lost are " + _SPAN_METRICS
    ),
    "collector-late": ("nothing is lost: as while the Collector is away."),
    "collector-kill9": _SPAN_METRICS,
    "collector-term": _SPAN_METRICS,
    "collector-edit": _SPAN_METRICS,
    "collector-refusing": ("the app waits, as while the Collector is away; " + _SPAN_METRICS),
    "collector-stop30": (
        "nothing is lost, and nothing is there twice: a request waits a minute for its answer. Of an outage that "
        "is longer, each process may have one batch of 512 lines twice; spans have ids, so that Jaeger keeps one."
    ),
    "network-hole": ("nothing is lost, and nothing is there twice within a minute, as of a frozen Collector."),
    "network-slow": ("nothing is lost."),
    "network-lossy": ("nothing is lost."),
    "network-reset": ("nothing is lost. A batch whose answer was cut off may be there twice."),
    "collector-disk": (
        "nothing is lost: what the queue on disk does not hold is refused, and waits in the app. Lines of "
        "`logs.json` that do not fit are missing there."
    ),
    "victorialogs-down60": (
        "VictoriaLogs acknowledges lines before they are on its disk. It flushes them every second, the least it "
        "can be set to; what it took in the last 3 s was gone each time that it was killed. When it is stopped in"
        " order, nothing is lost."
    ),
    "jaeger-down60": ("nothing is lost: the Collector keeps 512 MiB for it on disk."),
    "jaeger-disk": (
        "nothing is lost: Jaeger ends when its disk is full, and is started again until there is room; the "
        "Collector keeps what it misses."
    ),
    "victorialogs-disk": (
        "the last 3 s of lines, as when it is killed: VictoriaLogs had acknowledged them and could not flush "
        "them. A disk that fills up is told before, by StorageFilling, at 85 %."
    ),
    "app-ulimit64": ("nothing is lost."),
    "app-term": ("nothing is lost. Errors are requests that came while no app was there."),
    "app-int": ("nothing is lost. Errors are requests that came while no app was there."),
    "app-exit-thread": ("nothing is lost. Errors are requests that came while no app was there."),
    "app-block10": ("nothing is lost; requests wait for the event loop."),
    "app-fork": (
        "nothing is lost: each child sends what it has before it ends, and counts under a number that is not its parent's."
    ),
    "prometheus-down60": ("counts go on; what happened while it was away is one step, and alerts were not evaluated."),
    "alertmanager-down60": ("nothing is lost; Prometheus notifies it once it is back."),
    "app-kill9": (
        "what the process had not sent: 5 s of spans and of counts, 1 s of lines, and what waits if the Collector"
        " is away. It cannot speak any more; no counter has it."
    ),
}
