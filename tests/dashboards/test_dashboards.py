"""Dashboards: committed is what the source makes, Grafana's own types take it, no panel is empty on a live tutor."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from websockets.sync.client import connect

from dashboards.__main__ import BOARDS
from dashboards.panels import Board, Panel, Query, encode
from otel_tutor.demo.faults import FAILING_GENERATION, Faults
from otel_tutor.demo.load import run_load
from otel_tutor.demo.settings import Settings
from otel_tutor.demo.site import students
from otel_tutor.stack.backends import Sample, wait_for
from otel_tutor.stack.files import shipped
from tests.stack.conftest import Running

FOLDER = Path(__file__).parents[2] / "dashboards"
PANELS = [(board, panel) for board in BOARDS for panel in board.panels]
QUERIES = [
    pytest.param(panel, query, id=f"{board.uid.removeprefix('otel-tutor-')}-{panel.title}-{number}")
    for board, panel in PANELS
    for number, query in enumerate(panel.queries)
]
DOTS = [query for _, panel in PANELS for query in panel.queries if query.exemplars]


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_the_file_is_what_the_source_makes(board: Board) -> None:
    assert (FOLDER / "json" / f"{board.uid}.json").read_text(encoding="utf-8") == encode(board)


def test_there_is_no_file_without_a_source() -> None:
    assert {path.stem for path in (FOLDER / "json").iterdir()} == {board.uid for board in BOARDS}


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_grafanas_types_read_it_and_write_the_same(board: Board) -> None:
    text = encode(board)
    read = Dashboard.from_json(json.loads(text))

    assert json.loads(JSONEncoder(sort_keys=True).encode(read)) == json.loads(text)


def test_the_overview_is_what_users_count_on() -> None:
    overview = BOARDS[0]
    kinds = [(panel.title, panel.kind) for panel in overview.panels]

    assert sorted(kind for _, kind in kinds) == ["bars", "gauge", "gauge", "gauge", "gauge", "lines", "lines"]
    assert overview.refresh == "5s"
    assert json.loads(encode(overview))["time"] == {"from": "now-1h", "to": "now"}
    assert all(panel.leads_to in {board.uid for board in BOARDS} for panel in overview.panels)
    (alerts,) = json.loads(encode(overview))["annotations"]["list"]
    assert alerts["expr"].startswith("ALERTS{") and alerts["enable"]  # noqa: PT018


@pytest.mark.parametrize(("board", "panel"), PANELS, ids=lambda one: getattr(one, "title", ""))
def test_a_panel_says_what_it_shows(board: Board, panel: Panel) -> None:
    assert panel.title
    assert panel.description.endswith(".")
    assert panel.unit != ""
    for query in panel.queries:
        assert "$service" in query.expr or board.uid in {"otel-tutor-pipeline", "otel-tutor-slo"}
        assert not re.search(r"rate\([^[]*\[(?!\$__rate_interval)", query.expr)
        used = set(re.findall(r"\$(\w+)", query.expr))
        assert used <= {"service", "__rate_interval", "__range", *(name for name, _ in board.variables)}


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_a_dashboard_is_fit_to_be_provisioned(board: Board) -> None:
    made = json.loads(encode(board))
    ids = [panel["id"] for panel in made["panels"]]
    sources = {
        json.dumps(target.get("datasource", panel["datasource"])) for panel in made["panels"] for target in panel["targets"]
    }

    assert made["editable"] is False
    assert made.get("id") is None
    assert len(set(ids)) == len(ids)
    assert all("${datasource}" in source for source in sources)
    assert {one["name"] for one in made["templating"]["list"]} == {"datasource", "service", *dict(board.variables)}
    places = [panel["gridPos"] for panel in made["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)


def test_every_alert_leads_to_a_dashboard_that_is_there() -> None:
    text = "".join(path.read_text() for path in (shipped() / "alerts" / "rules").glob("*.yaml"))
    named = set(re.findall(r"localhost:3000/d/([a-z-]+)", text))

    assert named <= {board.uid for board in BOARDS}


def test_data_sources_refer_to_each_other_by_uids_that_exist() -> None:
    path = FOLDER / "provisioning" / "datasources" / "otel-tutor.yaml"
    sources = yaml.safe_load(path.read_text(encoding="utf-8"))["datasources"]
    uids = {source["uid"] for source in sources}

    assert set(re.findall(r"(?:datasourceUid|alertmanagerUid): ([a-z]+)", path.read_text(encoding="utf-8"))) <= uids


@pytest.fixture(scope="module")
def busy(running: Running) -> Iterator[Running]:
    """A tutor with students, a conversation over a WebSocket, somebody who probes it, and a model that has failed."""
    switch = Faults(Settings(data=running.stack.data / "tutor").faults)
    switch.switch(FAILING_GENERATION, True)
    asyncio.run(run_load(running.app, requests=40))
    switch.switch(FAILING_GENERATION, False)
    with students(running.app), connect(running.app.replace("http", "ws") + "/live") as live:
        live.send("Why does a steel ship float?")
        yield running


def ask(running: Running, query: Query) -> list[Sample]:
    httpx2.get(f"{running.app}/health")
    expression = query.expr.replace("$__rate_interval", "3m").replace("$__range", "1h")
    return running.backends.query(re.sub(r"\$\w+", ".*", expression))


@pytest.mark.parametrize(("panel", "query"), QUERIES)
def test_a_query_of_a_panel_has_data_and_the_labels_of_its_legend(busy: Running, panel: Panel, query: Query) -> None:
    samples = wait_for(lambda: ask(busy, query), bool, seconds=90)

    assert samples or panel.quiet
    labels = set(re.findall(r"{{(\w+)}}", query.legend))
    assert all(labels <= sample.labels.keys() for sample in samples)
    assert all(sample.value == sample.value for sample in samples) or panel.kind == "lines"  # a gauge never shows NaN


@pytest.mark.parametrize("query", DOTS, ids=lambda query: query.expr)
def test_a_dot_of_a_panel_opens_a_trace(busy: Running, query: Query) -> None:
    expression = re.sub(r"\$\w+", ".*", query.expr.replace("$__rate_interval", "3m"))
    found: list[Any] = wait_for(lambda: busy.backends.exemplars(expression), bool, seconds=60)

    assert wait_for(lambda: [one for one in found if busy.backends.trace(one.trace_id)], bool, seconds=30)
