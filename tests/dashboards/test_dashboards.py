"""Dashboards: committed is what the source makes, Grafana's own types take it, no panel is empty on a live tutor."""

import json
import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from websockets.sync.client import ClientConnection, connect

from dashboards.__main__ import BOARDS
from dashboards.limits import read_limits
from dashboards.panels import Board, Panel, Query, encode
from otel_tutor.catalogue import TOPIC
from otel_tutor.demo.faults import FAILING_GENERATION, FREE_TEXT_TOPICS, NEW_MODEL, RATE_LIMITED, Faults
from otel_tutor.demo.settings import Settings
from otel_tutor.tools.exercise.environment import students
from otel_tutor.tools.stack.backends import Sample
from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.polling import wait_for
from tests.dashboards.queries import PANELS, QUERIES, filled
from tests.support.promtool import check
from tests.support.stack import Running

FOLDER = Path(__file__).parents[2] / "dashboards"
LIMITS = read_limits(FOLDER.parent)
VARIABLES = sorted({variable for board in BOARDS for variable in board.variables})
DOTS = [query for _, panel in PANELS for query in panel.queries if query.exemplars]


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_the_file_is_what_the_source_makes(board: Board) -> None:
    written = (FOLDER / "json" / f"{board.uid}.json").read_text(encoding="utf-8")

    assert written == encode(board, LIMITS), "it is out of date: run python -m dashboards"


def test_there_is_no_file_without_a_source() -> None:
    assert {path.stem for path in (FOLDER / "json").iterdir()} == {board.uid for board in BOARDS}


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_grafanas_types_read_it_and_write_the_same(board: Board) -> None:
    made = json.loads(encode(board, LIMITS))
    (alerts,) = made["annotations"]["list"]
    assert (alerts.pop("titleFormat"), alerts.pop("tagKeys")) == ("{{alertname}}", "severity,job")  # the SDK knows neither

    assert json.loads(JSONEncoder().encode(Dashboard.from_json(made))) == made


def test_the_overview_is_what_users_count_on() -> None:
    overview = BOARDS[0]
    kinds = [(panel.title, panel.kind) for panel in overview.panels]

    assert sorted(kind for _, kind in kinds) == ["bars", "gauge", "gauge", "gauge", "gauge", "lines", "lines"]
    assert overview.refresh == "5s"
    assert json.loads(encode(overview, LIMITS))["time"] == {"from": "now-1h", "to": "now"}
    assert all(panel.link in {board.uid for board in BOARDS} for panel in overview.panels)
    (alerts,) = json.loads(encode(overview, LIMITS))["annotations"]["list"]
    assert alerts["expr"].startswith("ALERTS{") and alerts["enable"]  # noqa: PT018


def test_data_sources_refer_to_each_other_by_uids_that_exist() -> None:
    path = FOLDER / "provisioning" / "datasources" / "otel-tutor.yaml"
    sources = yaml.safe_load(path.read_text(encoding="utf-8"))["datasources"]
    uids = {source["uid"] for source in sources}

    assert set(re.findall(r"(?:datasourceUid|alertmanagerUid): ([a-z]+)", path.read_text(encoding="utf-8"))) <= uids


@pytest.mark.parametrize(
    ("title", "labels", "cost"),
    [
        ("Cost per question", 'job="tutor",currency="EUR"', 0.0035),
        ("Cost per hour, by model", 'model_name="small",currency="EUR"', 4.2),
        ("Cost per hour, by subject", 'subject="physics",currency="EUR"', 4.2),
        ("Cost per hour, by endpoint", 'endpoint="/ask",currency="EUR"', 4.2),
        ("Cost of the last day", 'job="tutor",currency="EUR"', 40 * 0.035),
    ],
)
def test_costs_are_of_questions_models_subjects_endpoints_and_days(
    binaries: Binaries, tmp_path: Path, title: str, labels: str, cost: float
) -> None:
    """Every 30 s ten questions, which cost 0.035 together."""
    (panel,) = [panel for _, panel in PANELS if panel.title == title]
    of = 'job="tutor",instance="1"'
    cost_of = f'model_cost_total{{{of},model_name="small",subject="physics",endpoint="/ask",currency="EUR"}}'
    series = {f"rag_queries_total{{{of}}}": "0+10x40", cost_of: "0+0.035x40"}

    expected = (1200, f"round({filled(panel.queries[0].expr)} / {cost}, 0.001)", [f"{{{labels}}}"])
    assert check(binaries, tmp_path, series, [expected]) == ""


def _ask_nonsense(live: ClientConnection) -> str | bytes:
    live.send("zzzz qqqq")  # no passage is about it
    return live.recv()


@pytest.fixture(scope="module")
def busy(running: Running) -> Iterator[Running]:
    """A tutor with students, a long conversation over a WebSocket, probes, and a model that has failed."""
    faults = Faults(Settings(data=running.stack.data / "tutor").faults)
    with students(running.app), connect(running.app.replace("http", "ws") + "/live") as live:
        faults.switch(FAILING_GENERATION, True)
        for failing in ('http_requests_total{status=~"5.."}', 'model_inference_total{status="error"}'):
            assert wait_for(partial(running.backends.query, f"sum(rate({failing}[1m])) > 0"), bool, seconds=60)
        faults.switch(FAILING_GENERATION, False)
        faults.switch(NEW_MODEL, True)  # no one has written down what it costs
        unpriced = partial(running.backends.query, "sum(rate(model_cost_unknown_total[1m])) > 0")
        assert wait_for(unpriced, bool, seconds=60)
        faults.switch(NEW_MODEL, False)
        faults.switch(RATE_LIMITED, True)
        assert wait_for(partial(running.backends.query, "model_retry_wait_seconds_count > 0"), bool, seconds=60)
        faults.switch(RATE_LIMITED, False)
        empty = partial(running.backends.query, "sum(rate(rag_queries_without_documents_total[1m])) > 0")
        assert wait_for(lambda: [_ask_nonsense(live), *empty()][1:], bool, seconds=60)
        faults.switch(FREE_TEXT_TOPICS, True)
        for _ in range(TOPIC.limit + 50):  # more than one worker may tell apart
            live.send("Why does a steel ship float?")
            live.recv()
        faults.switch(FREE_TEXT_TOPICS, False)
        yield running


def ask(running: Running, query: Query) -> list[Sample]:
    httpx2.get(f"{running.app}/health")
    return running.backends.query(filled(query.expr))


@pytest.mark.parametrize(("panel", "query"), QUERIES)
def test_a_query_of_a_panel_has_data_and_the_labels_of_its_legend(busy: Running, panel: Panel, query: Query) -> None:
    def shown(samples: Sequence[Sample]) -> bool:  # what only a fault shows is not 0 while there is one
        return any(sample.value > 0 for sample in samples) if panel.no_value else samples != []

    samples = wait_for(lambda: ask(busy, query), shown, seconds=180)  # windows of days are evaluated every two minutes

    assert shown(samples)
    labels = set(re.findall(r"{{(\w+)}}", query.legend))
    assert all(labels <= sample.labels.keys() for sample in samples)
    assert all(sample.value == sample.value for sample in samples) or panel.kind == "lines"  # a gauge never shows NaN


@pytest.mark.parametrize(("name", "values"), VARIABLES)
def test_a_variable_has_values_to_choose_from(busy: Running, name: str, values: str) -> None:
    found = re.fullmatch(r"label_values\((.+), (\w+)\)", values)
    assert found is not None

    samples = wait_for(lambda: busy.backends.query(f"count by ({found[2]}) ({filled(found[1])})"), bool, seconds=60)

    assert samples
    assert all(sample.labels.get(found[2]) for sample in samples), name


@pytest.mark.parametrize("query", DOTS, ids=lambda query: query.expr)
def test_a_dot_of_a_panel_opens_a_trace(busy: Running, query: Query) -> None:
    found: list[Any] = wait_for(lambda: busy.backends.exemplars(filled(query.expr)), bool, seconds=60)

    assert wait_for(lambda: [exemplar for exemplar in found if busy.backends.trace(exemplar.trace_id)], bool, seconds=30)
