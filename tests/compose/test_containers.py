"""compose.yaml for real, in containers: `make test-compose`."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import httpx2
import pytest

from otel_tutor.tools.stack.polling import wait_for
from tests.compose.conftest import Containers
from tests.compose.images import podman

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]


def test_each_service_passes_its_own_health_check(containers: Containers, services: Mapping[str, Any]) -> None:
    for service in (name for name, written in services.items() if "healthcheck" in written and name != "grafana"):
        check = partial(podman, "healthcheck", "run", containers.name(service), check=False)
        answer = wait_for(check, lambda done: done.returncode == 0, seconds=90)
        assert answer.returncode == 0, f"{service}: {podman('logs', '--tail=5', containers.name(service)).stderr}"


def test_a_question_is_found_in_all_three_stores_through_their_published_ports(containers: Containers) -> None:
    app, backends = f"http://127.0.0.1:{containers.ports['app']}", containers.backends
    reply = httpx2.post(f"{app}/ask", json={"question": "Why is the sky blue?"}, timeout=30)
    assert reply.status_code == 200
    trace = reply.json()["trace_id"]

    counted = wait_for(lambda: backends.query('sum(http_requests_total{endpoint="/ask"})'), bool, seconds=60)
    spans = wait_for(lambda: backends.trace(trace), bool, seconds=60)
    lines = wait_for(lambda: backends.logs_of_trace(trace), bool, seconds=60)
    assert counted[0].value >= 1
    assert {span.service for span in spans} == {"tutor"}
    assert any("question ended in success" in line["_msg"] for line in lines)


def test_prometheus_reaches_every_target_and_alertmanager_the_pager(containers: Containers) -> None:
    def down() -> list[str]:
        return [sample.labels["job"] for sample in containers.backends.query("up == 0")]

    assert wait_for(down, lambda jobs: not jobs, seconds=60) == []
    assert len(containers.backends.query("up == 1")) >= 7
    pager = f"http://127.0.0.1:{containers.ports['pager']}/"
    page = wait_for(lambda: httpx2.get(pager).text, lambda text: "watchdog: never" not in text, seconds=120)
    assert "last watchdog: 2" in page


def test_every_alert_has_its_links_at_the_ports_that_are_published(containers: Containers) -> None:
    answer = httpx2.get(f"http://127.0.0.1:{containers.ports['prometheus']}/api/v1/rules", params={"type": "alert"}).json()
    rules = [rule for group in answer["data"]["groups"] for rule in group["rules"]]
    grafana = f"http://localhost:{containers.ports['grafana']}/d/otel-tutor-"

    assert rules
    for rule in rules:
        assert httpx2.get(rule["annotations"]["runbook_url"]).text.startswith(f"# {rule['name']}\n")
        assert rule["annotations"]["dashboard_url"].startswith(grafana)


def test_the_students_keep_it_busy(containers: Containers) -> None:
    asked = wait_for(lambda: containers.backends.query("sum(increase(student_questions_total[1m])) > 0"), bool, seconds=90)
    assert asked != []


def test_no_service_is_root_and_nothing_is_published_beyond_loopback(
    containers: Containers, services: Mapping[str, Any]
) -> None:
    for service in (name for name in services if name not in {"grafana", "volumes"}):
        (seen,) = json.loads(podman("inspect", containers.name(service)).stdout)
        assert seen["Config"]["User"] == "10001:10001"
        assert seen["HostConfig"]["ReadonlyRootfs"]
        assert seen["EffectiveCaps"] in (None, [])
        bindings = [binding for ports in seen["HostConfig"]["PortBindings"].values() for binding in ports]
        assert {binding["HostIp"] for binding in bindings} <= {"127.0.0.1"}


def test_down_leaves_nothing(containers: Containers) -> None:
    assert containers.left() != []
    containers.compose("down", "-v")

    assert containers.left() == []
