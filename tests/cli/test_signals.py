"""`otel-tutor metrics`, `trace`, `logs` and `config` as a user runs them."""

import asyncio
import os
import re
import secrets
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from otel_tutor.demo.faults import FAILING_GENERATION, Faults
from otel_tutor.demo.settings import Settings
from otel_tutor.tools.exercise.load import run_load
from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.polling import wait_for
from tests.support.command import Run, one_line
from tests.support.stack import Running

Ask = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def asked(running: Running) -> Running:
    """A tutor with traces, and some of them of failures."""
    asyncio.run(run_load(running.app, requests=40))
    switch = Faults(Settings(data=running.stack.data / "tutor").faults)
    switch.switch(FAILING_GENERATION, True)
    asyncio.run(run_load(running.app, requests=16))
    switch.switch(FAILING_GENERATION, False)
    assert wait_for(lambda: running.backends.slowest("tutor", errors=True), bool, seconds=120)
    assert wait_for(lambda: running.backends.query("rag_queries_total"), bool, seconds=120)
    return running


@pytest.fixture
def ask(asked: Running, command: list[str]) -> Ask:
    environment = {**os.environ, "OTEL_TUTOR_DATA": str(asked.stack.data), "COLUMNS": "160"}

    def execute(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, env=environment)

    return execute


def test_families_are_listed_with_what_they_have(ask: Ask, asked: Running) -> None:
    answer = ask("metrics", "rag_*")
    (row,) = [line.split() for line in answer.stdout.splitlines() if line.startswith("rag_queries_total")]
    (total,) = asked.backends.query("sum(rag_queries_total)")

    assert answer.returncode == 0
    assert (row[1], float(row[2])) == ("counter", total.value)
    assert "http_requests_total" not in answer.stdout


def test_without_a_stack_families_are_listed_all_the_same(run: Run) -> None:
    answer = run("metrics", "student_*")

    assert answer.returncode == 0
    assert "student_questions_total" in answer.stdout
    assert "no family matches 'teacher_*'" in one_line(run("metrics", "teacher_*").stderr)


def test_the_slowest_trace_is_a_tree_with_its_log_lines(ask: Ask) -> None:
    answer = ask("trace", "--slowest")

    assert answer.returncode == 0, answer.stderr
    assert re.match(r"trace [0-9a-f]{32}, \d+ spans", answer.stdout)
    assert " ms" in answer.stdout


def test_a_trace_that_began_elsewhere_is_among_the_slowest(asked: Running) -> None:
    trace_id = secrets.token_hex(16)
    headers = {"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"}
    httpx2.get(f"{asked.app}/subjects", headers=headers, trust_env=False)

    def roots() -> list[str]:
        return [root.name for root in asked.backends.slowest("tutor") if root.tags["trace_id"] == trace_id]

    assert wait_for(roots, bool, seconds=120) == ["GET /subjects"]


def test_a_trace_whose_spans_did_not_all_arrive_is_incomplete(ask: Ask, asked: Running) -> None:
    trace_id, parent, root = (secrets.token_hex(size) for size in (16, 8, 8))
    times = {"startTimeUnixNano": str(time.time_ns()), "endTimeUnixNano": str(time.time_ns())}
    request = {"traceId": trace_id, "spanId": root, "name": "POST /ask", "kind": 2, **times}
    child = {"traceId": trace_id, "spanId": secrets.token_hex(8), "parentSpanId": parent, "name": "chat", **times}
    service = {"attributes": [{"key": "service.name", "value": {"stringValue": "lossy"}}]}
    body = {"resourceSpans": [{"resource": service, "scopeSpans": [{"spans": [request, child]}]}]}
    port = asked.stack.state.ports["otlp-http"]
    assert httpx2.post(f"http://127.0.0.1:{port}/v1/traces", json=body).status_code == 200
    answer = wait_for(lambda: ask("trace", trace_id), lambda answer: answer.returncode == 0, seconds=120)

    assert f"incomplete: Jaeger does not have the parent {parent} of chat" in answer.stdout


def test_a_trace_with_an_error_says_where(ask: Ask) -> None:
    answer = ask("trace", "--errors")

    assert answer.returncode == 0, answer.stderr
    assert re.search(r"rag\.query .* error", answer.stdout)
    assert "question ended in error" in answer.stdout
    trace_id = answer.stdout.split()[1].rstrip(",")
    assert "question ended in error" in ask("logs", "--trace", trace_id).stdout
    assert ask("trace", trace_id).stdout == answer.stdout


def test_the_end_of_a_components_log_is_shown(ask: Ask) -> None:
    answer = ask("logs", "collector")

    assert answer.returncode == 0
    assert "Everything is ready" in answer.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trace", "0" * 32], "Jaeger does not know trace"),
        (["trace", "--slowest", "--service", "nobody"], "Jaeger has no such trace of nobody"),
    ],
)
def test_what_is_not_there_is_one_line(ask: Ask, arguments: list[str], message: str) -> None:
    answer = ask(*arguments)

    assert answer.returncode == 1
    assert message in one_line(answer.stderr)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trace"], "name one trace: its id, --slowest or --errors"),
        (["trace", "xyz"], "'xyz' is not a trace id"),
        (["logs", "grafana"], "there is no component 'grafana': choose from victorialogs, jaeger"),
    ],
)
def test_a_wrong_command_line_is_one_line_that_names_the_help(ask: Ask, arguments: list[str], message: str) -> None:
    answer = ask(*arguments)

    assert answer.returncode == 2
    line = one_line(answer.stderr)
    assert message in line
    assert line.endswith(f"see `otel-tutor {arguments[0]} --help`")


def test_configuration_is_checked_and_printed_without_its_secrets(
    run: Run, binaries: Binaries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "key"
    key.write_text("Bearer do-not-tell", encoding="utf-8")
    checked = run("config", "check", "--overlay", "vendor", OTEL_TUTOR_VENDOR_KEY=str(key))
    printed = run("config", "print", "--overlay", "vendor", OTEL_TUTOR_VENDOR_KEY=str(key))

    assert (checked.returncode, printed.returncode) == (0, 0), checked.stderr + printed.stderr
    assert "is valid" in checked.stdout
    assert "otlp_http/vendor" in printed.stdout
    assert "[REDACTED]" in printed.stdout
    assert "do-not-tell" not in printed.stdout + printed.stderr
    assert "overlay 'thanos' does not exist" in one_line(run("config", "print", "--overlay", "thanos").stderr)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"title": "Mine",\n "panels": [}', "mine.json line 2: not valid JSON"),
        ('{"title": "Mine"}', "mine.json: it needs a title and panels"),
        ('{"title": "Mine", "uid": "otel-tutor-api", "panels": []}', "its uid 'otel-tutor-api' is that of mine.json"),
        (
            '{"title": "Mine", "panels": [{"title": "Mine", "datasource": {"type": "prometheus"},'
            ' "targets": [{"expr": "sum(rate(x[$__rate_interval])"}]}]}',
            "mine.json: panel 'Mine': 1:",
        ),
    ],
)
def test_a_users_dashboard_is_checked(run: Run, binaries: Binaries, tmp_path: Path, text: str, message: str) -> None:
    assert run("init").returncode == 0
    assert run("config", "check").returncode == 0
    (tmp_path / "dashboards" / "json" / "mine.json").write_text(text, encoding="utf-8")

    assert message in one_line(run("config", "check").stderr)
