"""The overview's panels, read from its dashboard, and the backends' answers to their queries."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import humanize

from otel_tutor.tools.stack.backends import Backends, Sample, Span

__all__ = ["Frame", "Panel", "Reading", "read_frame", "read_panels", "shown"]

HISTORY: Final = 900  # seconds of a curve
_STEP: Final = 15
_UNITS: Final = {"reqps": " req/s", "percent": " %", "short": "", "s": " s"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A panel of the dashboard; `limit` is where it turns red."""

    title: str
    kind: str  # gauge, timeseries or barchart, as Grafana calls them
    unit: str
    queries: Sequence[tuple[str, str]]  # expression and legend
    limit: float | None
    highest: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a panel shows: of each series the name and its values, one for a gauge or a bar."""

    panel: Panel
    series: Mapping[str, Sequence[float]]

    @property
    def value(self) -> float | None:
        """The last value of the first series, if there is any."""
        return next((values[-1] for values in self.series.values() if values), None)

    @property
    def is_bad(self) -> bool:
        """Whether the panel would be red."""
        return self.value is not None and self.panel.limit is not None and self.value >= self.panel.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """All of one moment."""

    readings: Sequence[Reading]
    alerts: Sequence[str]  # that fire, the Watchdog aside
    budgets: Mapping[str, float]  # what is left of each, 1 being all
    costs: Sequence[str]  # of models in the last day, by service and currency
    slowest: Sequence[Span]  # roots of the slowest traces of the last quarter of an hour


def read_panels(configuration: Path) -> list[Panel]:
    """The panels of the overview in a configuration folder."""
    board = json.loads((configuration / "dashboards" / "json" / "otel-tutor-overview.json").read_text(encoding="utf-8"))
    return [_panel(panel) for panel in board["panels"]]


def _panel(panel: Mapping[str, Any]) -> Panel:
    field = panel["fieldConfig"]["defaults"]
    return Panel(
        title=panel["title"],
        kind=panel["type"],
        unit=field["unit"],
        queries=[(target["expr"], target["legendFormat"]) for target in panel["targets"]],
        limit=field["thresholds"]["steps"][-1]["value"],
        highest=field.get("max"),
    )


def read_frame(backends: Backends, panels: Sequence[Panel]) -> Frame:
    """What is there now. Raises StackError when a backend does not answer."""
    firing = backends.query('ALERTS{alertstate="firing",alertname!="Watchdog"}')
    left = backends.query("1 - slo:error_ratio:rate30d / on (slo) group_left () (1 - slo:target:ratio)")
    jobs = sorted({sample.labels["job"] for sample in backends.query("job:api:up")})
    costs = backends.query("job:model_cost:sum1d")
    budget = max((sample.value for sample in backends.query("budget:cost_per_day:value")), default=math.nan)
    slow = [span for job in jobs for span in backends.slowest(job)]
    return Frame(
        readings=[_read(backends, panel) for panel in panels],
        alerts=sorted({_alert(sample.labels) for sample in firing}),
        budgets={sample.labels["slo"]: sample.value for sample in left if not math.isnan(sample.value)},
        costs=[_cost(sample, budget) for sample in costs],
        slowest=sorted(slow, key=lambda span: -span.duration)[:10],
    )


def _cost(sample: Sample, budget: float) -> str:
    return f"{sample.labels['job']} {sample.value:.4g} {sample.labels['currency']} of {budget:g} a day"


def _alert(labels: Mapping[str, str]) -> str:
    return f"{labels['severity']} {labels['alertname']} {labels.get('job', '')}"


def _read(backends: Backends, panel: Panel) -> Reading:
    series: dict[str, Sequence[float]] = {}
    for expression, legend in panel.queries:
        query = re.sub(r"\$\w+", ".*", expression.replace("$__rate_interval", "1m").replace("$__range", "1h"))
        if panel.kind == "timeseries":
            for labels, values in backends.history(query, seconds=HISTORY, step=_STEP):
                series[_named(legend, labels)] = [value for value in values if not math.isnan(value)]
        else:
            for sample in backends.query(query):
                series[_named(legend, sample.labels)] = [sample.value]
    return Reading(panel=panel, series=series)


def _named(legend: str, labels: Mapping[str, str]) -> str:
    return re.sub(r"{{(\w+)}}", lambda name: labels.get(name[1], ""), legend).strip()


def shown(value: float | None, unit: str) -> str:
    """A number as people read it."""
    if value is None or math.isnan(value):
        return "no data"
    if unit == "bytes":
        return humanize.naturalsize(value)
    if unit == "s" and value < 1:
        return f"{1000 * value:.0f} ms"
    return f"{value:.1f}{_UNITS.get(unit, '')}" if unit != "short" else f"{value:.0f}"
