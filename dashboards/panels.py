"""How a panel is described here, and how that becomes a Grafana dashboard: the only module that knows the foundation SDK."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from grafana_foundation_sdk.builders import barchart, common, dashboard, gauge, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import BigValueGraphMode, LegendDisplayMode, LegendPlacement, TooltipDisplayMode
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dashboards.limits import Limits, Reference

__all__ = ["Board", "Panel", "Query", "encode"]

TAG: Final = "otel-tutor"
SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${datasource}")
_WIDTH: Final = {"gauge": 6, "stat": 6, "bars": 12, "lines": 12}  # of 24 columns
_HEIGHT: Final = 8


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression, what its lines are called, and whether its exemplars are shown as dots that open a trace."""

    expr: str
    legend: str = ""
    exemplars: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel. `unit` is one of Grafana's; `threshold` is where it turns red; `no_value` says why it may be empty.

    In the description, `{threshold}` and `{collector_memory}` stand for the limits of these names.
    """

    title: str
    description: str
    kind: str  # lines, gauge, stat or bars
    unit: str
    queries: Sequence[Query]
    threshold: float | Reference | None = None
    max: float | None = None
    lower_is_bad: bool = False  # red below the threshold, not above it
    link: str = ""  # uid of the dashboard with more of it
    no_value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A dashboard: what it is for, the variables it can be narrowed by, its panels in reading order."""

    uid: str
    title: str
    description: str
    panels: Sequence[Panel]
    variables: Sequence[tuple[str, str]] = ()  # name, and the query of its values
    refresh: str = "10s"


def encode(board: Board, limits: Limits) -> str:
    """The dashboard as the JSON that Grafana provisions, with these limits in it."""
    made = json.loads(JSONEncoder().encode(_dashboard(board, limits).build()))
    made["annotations"]["list"][0] |= {"titleFormat": "{{alertname}}", "tagKeys": "severity,job"}  # the SDK has neither
    return json.dumps(made, sort_keys=True, indent=2) + "\n"


def _dashboard(board: Board, limits: Limits) -> dashboard.Dashboard:
    built = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags([TAG])
        .readonly()
        .refresh(board.refresh)
        .time("now-1h", "now")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .annotation(_alerts())
        .link(_others())
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    )
    for name, query in (("service", "label_values(process_uptime_seconds, job)"), *board.variables):
        built.with_variable(_variable(name, query))
    for number, panel in enumerate(board.panels, 1):
        built.with_panel(_panel(panel, limits).id(number))
    return built


def _variable(name: str, query: str) -> dashboard.QueryVariable:
    variable = dashboard.QueryVariable(name).label(name.capitalize()).datasource(SOURCE).query(query)
    variable = variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)
    return variable.multi(True).include_all(True).all_value(".*")


def _alerts() -> dashboard.AnnotationQuery:
    firing = 'ALERTS{alertstate="firing",alertname!="Watchdog",job=~"$service|"}'
    return dashboard.AnnotationQuery().name("Alerts").datasource(SOURCE).enable(True).icon_color("red").expr(firing)


def _others() -> dashboard.DashboardLink:
    link = dashboard.DashboardLink("otel_tutor").type(DashboardLinkType.DASHBOARDS).tags([TAG])
    return link.as_dropdown(True).include_vars(True).keep_time(True)


def _panel(panel: Panel, limits: Limits) -> Any:
    threshold = limits.value(panel.threshold)
    description = panel.description.format(threshold=threshold, collector_memory=limits.collector_memory)
    built: Any = {"lines": _lines, "gauge": _gauge, "stat": _stat, "bars": _bars}[panel.kind](panel)
    built.title(panel.title).description(description).unit(panel.unit).datasource(SOURCE)
    built.span(_WIDTH[panel.kind]).height(_HEIGHT).thresholds(_thresholds(threshold, lower_is_bad=panel.lower_is_bad))
    if panel.max is not None:
        built.min(0).max(panel.max)
    if panel.no_value:
        built.no_value(panel.no_value)
    if panel.link:
        url = f"/d/{panel.link}?${{service:queryparam}}"
        built.links([dashboard.DashboardLink("More").type(DashboardLinkType.LINK).url(url)])
    for number, query in enumerate(panel.queries):
        built.with_target(_target(query, chr(ord("A") + number), instant=panel.kind == "bars"))
    return built


def _target(query: Query, ref: str, *, instant: bool) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend or "__auto").ref_id(ref)
    if instant:
        return target.instant().format(PromQueryFormat.TABLE)
    return target.range().exemplar(query.exemplars)


def _thresholds(threshold: float | None, *, lower_is_bad: bool) -> dashboard.ThresholdsConfig:
    first, then = ("red", "green") if lower_is_bad else ("green", "red")
    steps = [Threshold(value=None, color=first)]
    if threshold is not None:
        steps.append(Threshold(value=threshold, color=then))
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def _lines(_: Panel) -> timeseries.Panel:
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    built = timeseries.Panel().legend(legend.show_legend(True)).line_width(1).fill_opacity(8)
    return built.tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))


def _gauge(_: Panel) -> gauge.Panel:
    return gauge.Panel().reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"])).show_threshold_markers(True)


def _stat(_: Panel) -> stat.Panel:
    options = common.ReduceDataOptions().calcs(["lastNotNull"])
    return stat.Panel().reduce_options(options).graph_mode(BigValueGraphMode.AREA)


def _bars(panel: Panel) -> barchart.Panel:
    label = panel.queries[0].legend.strip("{} ")
    return barchart.Panel().x_field(label).min(0)
