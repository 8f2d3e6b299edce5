"""What Grafana's dashboard-linter asks of a dashboard, and more, on the JSON that Grafana gets."""

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from otel_tutor.naming import Series
from otel_tutor.settings import shipped_config_dir
from otel_tutor.tools.naming import read_naming
from otel_tutor.tools.reference import OTHERS, Other
from tests.support.grafana_units import UNITS
from tests.support.promql import Node, children, left, parse

FOLDER: Final = Path(__file__).parents[2] / "dashboards" / "json"
MADE: Final = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}
PANELS: Final = [
    pytest.param(board, panel, id=f"{uid.removeprefix('otel-tutor-')}-{panel['title']}")
    for uid, board in MADE.items()
    for panel in board["panels"]
]
RULES: Final = [
    rule
    for path in sorted((shipped_config_dir() / "alerts" / "rules").glob("*.yaml"))
    for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
    if "record" in rule
]
FAMILIES: Final[list[Series | Other]] = [*read_naming(shipped_config_dir()), *OTHERS]
# Alerts lead to them and people keep links to them: they stay.
UIDS: Final = {f"otel-tutor-{name}" for name in ("overview", "api", "rag", "sync", "storage", "slo", "health", "pipeline")}
# What the stack's own components and Prometheus say of themselves: of no service, and in no reference.
STACK: Final[Mapping[str, tuple[str, set[str]]]] = {
    "up": ("gauge", {"job", "instance"}),
    "scrape_samples_scraped": ("gauge", {"job", "instance"}),
    "otelcol_receiver_accepted_spans": ("counter", {"receiver"}),
    "otelcol_receiver_accepted_log_records": ("counter", {"receiver"}),
    "otelcol_receiver_accepted_metric_points": ("counter", {"receiver"}),
    "otelcol_receiver_refused_spans": ("counter", {"receiver"}),
    "otelcol_receiver_refused_metric_points": ("counter", {"receiver"}),
    "otelcol_exporter_sent_spans": ("counter", {"exporter"}),
    "otelcol_exporter_sent_log_records": ("counter", {"exporter"}),
    "otelcol_exporter_queue_size": ("gauge", {"exporter", "data_type"}),
    "otelcol_exporter_queue_capacity": ("gauge", {"exporter", "data_type"}),
    "otelcol_process_memory_rss": ("gauge", set()),
    "prometheus_rule_evaluation_failures_total": ("counter", {"rule_group"}),
    "alertmanager_notifications_failed_total": ("counter", {"integration", "reason"}),
}
OF_ALL_WORKERS: Final = {"sync_queue_size", "student_sessions_active"}  # one reports for all, the others report 0
OF_ALL_SERVICES: Final = {"slo:target:ratio", "slo:threshold:value"}  # an objective is the same for each
OVERVIEW: Final = "otel-tutor-overview"  # whether a service is well; which worker is not is for those that it leads to


def types() -> Mapping[str, str]:
    """Of every series its type; those of a histogram are counters."""
    found = {name: kind for name, (kind, _) in STACK.items()} | {rule["record"]: "gauge" for rule in RULES}
    for family in FAMILIES:
        if family.type == "histogram":
            found |= {f"{family.name}{ending}": "counter" for ending in ("_bucket", "_sum", "_count")}
        else:
            found[family.name] = family.type
    return found


TYPES: Final = types()


@pytest.fixture(scope="module")
def inventory(parser: str) -> Mapping[str, set[str]]:
    """Of every series the labels it can have; those of a recorded one follow from its rule."""
    found = {name: set(labels) for name, (_, labels) in STACK.items()}
    for family in FAMILIES:
        for ending in ("", "_bucket", "_sum", "_count"):
            found[family.name + ending] = {"job", "instance", *family.labels} | ({"le"} if ending == "_bucket" else set())
    for rule in RULES * 2:  # one may read another that comes after it
        found[rule["record"]] = left(parse(parser, rule["expr"]), found) | rule.get("labels", {}).keys()
    return found


def tree(parser: str, target: Mapping[str, Any]) -> Node:
    """A query as Prometheus reads it: `$service` is the value service, the rate's interval eleven seconds."""
    expression = target["expr"].replace("$__rate_interval", "11s").replace("$__range", "12s")
    return parse(parser, expression.replace("$", ""))


def read(node: Node, above: tuple[Node, ...] = ()) -> Iterator[tuple[Node, tuple[Node, ...]]]:
    """Every series that is read, and what is done with it, from the outside in."""
    if node["type"] in ("vectorSelector", "matrixSelector"):
        yield node, above
    for child in children(node):
        yield from read(child, (*above, node))


def calls(above: tuple[Node, ...]) -> list[str]:
    return [node["func"]["name"] for node in above if node["type"] == "call"]


@pytest.mark.parametrize("uid", MADE)
def test_data_come_from_the_source_that_is_chosen_and_from_no_other(uid: str) -> None:
    """Rules template-datasource-rule, panel-datasource-rule."""
    first, *others = MADE[uid]["templating"]["list"]
    asked = [variable for variable in others if variable["type"] == "query"]
    using = [*MADE[uid]["panels"], *MADE[uid]["annotations"]["list"], *asked]

    assert (first["name"], first["type"], first["query"]) == ("datasource", "datasource", "prometheus")
    assert all(part["datasource"] == {"type": "prometheus", "uid": "${datasource}"} for part in using)
    assert json.dumps(MADE[uid]).count('"datasource": {') == len(using)  # and no other part names one


@pytest.mark.parametrize(("board", "panel"), PANELS)
def test_a_panel_says_what_it_shows_and_in_which_unit(board: Mapping[str, Any], panel: Mapping[str, Any]) -> None:
    """Rules panel-title-description-rule, panel-units-rule, panel-no-targets-rule."""
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["targets"]
    assert all(target["expr"] and target["legendFormat"] for target in panel["targets"])


@pytest.mark.parametrize("uid", MADE)
def test_titles_and_ids_are_unique_in_a_dashboard(uid: str) -> None:
    panels = MADE[uid]["panels"]

    assert len({panel["title"] for panel in panels}) == len(panels)
    assert len({panel["id"] for panel in panels}) == len(panels)


@pytest.mark.parametrize("uid", MADE)
def test_panels_are_on_the_grid_and_not_on_each_other(uid: str) -> None:
    places = [panel["gridPos"] for panel in MADE[uid]["panels"]]
    cells = [
        (column, row)
        for place in places
        for column, row in itertools.product(
            range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        )
    ]

    assert all(0 <= column < 24 for column, _ in cells)
    assert len(set(cells)) == len(cells)


def test_a_dashboard_cannot_be_edited_and_keeps_its_uid() -> None:
    """Rule uneditable-dashboard. An id would be that of one Grafana's database."""
    assert set(MADE) == UIDS
    for uid, board in MADE.items():
        assert (board["uid"], board["editable"], board.get("id")) == (uid, False, None)
    assert len({board["title"] for board in MADE.values()}) == len(MADE)


@pytest.mark.parametrize("uid", MADE)
def test_variables_follow_the_time_range_and_the_services_chosen(uid: str) -> None:
    """Rules template-job-rule, template-instance-rule, template-label-promql-rule, template-on-time-change-reload-rule."""
    variables = {variable["name"]: variable for variable in MADE[uid]["templating"]["list"]}
    asked = " ".join(target["expr"] for panel in MADE[uid]["panels"] for target in panel["targets"])

    assert {"datasource", *re.findall(r"\$(?!__)(\w+)", asked)} == variables.keys()
    assert variables["service"]["query"] == "label_values(process_uptime_seconds, job)"
    for name, variable in variables.items():
        if variable["type"] == "query":
            assert (variable["refresh"], variable["multi"], variable["includeAll"], variable["allValue"]) == (
                2,
                True,
                True,
                ".*",
            )
            assert name == "service" or re.fullmatch(r'label_values\(\w+{job=~"\$service"}, \w+\)', variable["query"])
            assert re.findall(r"\((\w+)", variable["query"])[0] in TYPES


@pytest.mark.parametrize("uid", MADE)
def test_links_lead_to_dashboards_that_exist(uid: str) -> None:
    tags = {tag for link in MADE[uid]["links"] for tag in link["tags"]}
    leads = [link["url"] for panel in MADE[uid]["panels"] for link in panel.get("links", ())]

    assert all(tags <= set(board["tags"]) for board in MADE.values())
    assert {re.sub(r"^/d/([^?]+)\?.*", r"\1", url) for url in leads} <= MADE.keys()


@pytest.mark.parametrize(("board", "panel"), PANELS)
def test_a_query_is_about_the_services_and_workers_chosen(
    parser: str, board: Mapping[str, Any], panel: Mapping[str, Any]
) -> None:
    """Rules target-promql-rule, target-job-rule, target-instance-rule."""
    for target in panel["targets"]:
        for series, _ in read(tree(parser, target)):
            name = series["name"]
            chosen = {(matcher["name"], matcher["type"], matcher["value"]) for matcher in series["matchers"]}
            of_service = name in STACK or name in OF_ALL_SERVICES or ("job", "=~", "service") in chosen
            of_all = ":" in name or name in STACK or name in OF_ALL_WORKERS or board["uid"] == OVERVIEW
            assert name in TYPES, f"{name} is no series"
            assert of_service, f"{name} is of every service"
            assert of_all or ("instance", "=~", "instance") in chosen, f"{name} is of every worker"


@pytest.mark.parametrize(("board", "panel"), PANELS)
def test_a_counter_is_a_rate_that_is_summed_and_nothing_else_is(
    parser: str, board: Mapping[str, Any], panel: Mapping[str, Any]
) -> None:
    """Rules target-rate-interval-rule, target-counter-agg-rule."""
    for target in panel["targets"]:
        for series, above in read(tree(parser, target)):
            is_rate = {"rate", "increase"} & set(calls(above)) != set()
            assert is_rate == (TYPES[series["name"]] == "counter"), series["name"]
            assert not is_rate or any(node["type"] == "aggregation" and node["op"] == "sum" for node in above)
            if series["type"] == "matrixSelector":
                assert series["range"] == (12_000 if target["instant"] else 11_000), "not the range that Grafana gives"


@pytest.mark.parametrize(("board", "panel"), PANELS)
def test_the_labels_of_a_legend_survive(
    parser: str, inventory: Mapping[str, set[str]], board: Mapping[str, Any], panel: Mapping[str, Any]
) -> None:
    for target in panel["targets"]:
        named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
        kept = left(tree(parser, target), inventory)
        assert named <= kept, f"{target['expr']} keeps {kept}"


@pytest.mark.parametrize("uid", MADE)
def test_annotations_are_promql_with_a_title(parser: str, uid: str) -> None:
    for annotation in MADE[uid]["annotations"]["list"]:
        ((series, _),) = read(tree(parser, annotation))
        assert (series["name"], annotation["titleFormat"]) == ("ALERTS", "{{alertname}}")
