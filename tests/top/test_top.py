"""The overview in a terminal: the dashboard's panels, Prometheus' numbers, small or large, and with Prometheus away."""

import asyncio
import os
import re
import shutil
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator

import httpx2
import psutil
import pytest
from playwright.sync_api import sync_playwright
from textual.pilot import Pilot
from textual.widgets import Static

from dashboards import overview
from otel_tutor.settings import shipped_config_dir
from otel_tutor.tools.exercise.load import run_load
from otel_tutor.tools.stack.polling import wait_for
from otel_tutor.tools.top.screen import Top
from tests.support.command import Run, one_line
from tests.support.ports import unused_ports
from tests.support.stack import Running

TITLES = [panel.title for panel in overview.BOARD.panels]
Drive = Callable[[Top, Pilot[None]], Awaitable[None]]


@pytest.fixture(scope="module")
def asked(running: Running) -> Running:
    """A tutor that was asked, all of it counted, and every panel with data."""
    asyncio.run(run_load(running.app, requests=60))
    httpx2.get(f"{running.app}/health")
    for _ in range(8):
        asyncio.run(run_load(running.app, requests=8))
        time.sleep(1)  # the load is spread over scrapes: a rate needs two points
    ready = (
        "job:http_request_duration_seconds:p95_rate2m > 0 and on (job) job:model_inference_duration_seconds:p95_rate2m > 0"
    )
    for query in (ready, "job:system_memory_usage_bytes:max"):  # rules of two groups
        assert wait_for(lambda: running.backends.query(query), bool, seconds=60)  # noqa: B023 - it is waited for here
    return running


def drive(running: Running, what: Drive, size: tuple[int, int] = (120, 40)) -> None:
    async def run() -> None:
        app = Top(shipped_config_dir(), running.stack.state.ports)
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: "Prometheus at" in text(app, "status"))
            await what(app, pilot)

    asyncio.run(run())


async def until(pilot: Pilot[None], holds: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, text(pilot.app, "status")
        await pilot.pause(0.2)


def text(app: object, name: str) -> str:
    assert isinstance(app, Top)
    return str(app.query_one(f"#{name}", Static).render())


def test_the_panels_show_what_prometheus_says(asked: Running) -> None:
    number = {title: f"panel-{index}" for index, title in enumerate(TITLES)}

    def agrees(app: Top) -> bool:
        (memory,) = asked.backends.query("max(job:system_memory_usage_bytes:max)")
        amount, unit = text(app, number["Memory"]).split()[:2]
        shown = float(amount) * {"MB": 1e6, "GB": 1e9}[unit]
        asking = "sum by (subject) (increase(student_questions_total[1h]))"
        counted = {sample.labels["subject"][:12]: sample.value for sample in asked.backends.query(asking)}
        lines = text(app, number["Student questions by subject"]).splitlines()
        rows = {line.split()[0]: float(line.split()[-1]) for line in lines}
        near = all(abs(rows[subject] - count) < max(1, count / 10) for subject, count in counted.items() if subject in rows)
        return rows.keys() == counted.keys() and near and shown == pytest.approx(memory.value, rel=0.1)

    async def look(app: Top, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: agrees(app))  # it reads every five seconds, and what it read is older than ours
        assert text(app, number["Request rate"]).split()[1] == "req/s"

    drive(asked, look)


def test_it_fits_a_terminal_of_80_by_24(asked: Running) -> None:
    async def look(app: Top, pilot: Pilot[None]) -> None:
        await pilot.resize_terminal(80, 24)
        await pilot.pause(0.5)
        widgets = [app.query_one(f"#panel-{number}") for number in range(len(TITLES))]
        assert [widget.border_title for widget in widgets] == TITLES
        assert all(
            widget.region.right <= 80 and widget.region.bottom <= 24 and widget.region.height >= 3 for widget in widgets
        )

    drive(asked, look)


def test_keys_lead_to_alerts_budgets_traces_and_deeper(asked: Running) -> None:
    def lines_of_the_slowest(app: Top) -> str:
        assert app._frame
        records = asked.backends.logs_of_trace(app._frame.slowest[0].tags["trace_id"])
        return "\n".join(f"{record['_time'][11:19]} {record['_msg']}" for record in records) or "none"

    async def look(app: Top, pilot: Pilot[None]) -> None:
        await pilot.press("t")
        assert "POST /ask" in text(app, "list")
        await pilot.press("o")
        assert "/api/traces/" in text(app, "status")
        await pilot.press("l")
        await until(pilot, lambda: lines_of_the_slowest(app) in text(app, "list"))
        await pilot.press("b")
        assert "left" in text(app, "list") or "no data" in text(app, "list")
        await pilot.press("a", "right", "o")
        assert "/api/v1/query?query=" in text(app, "status")

    drive(asked, look)


def test_a_key_that_is_pressed_while_log_lines_are_read_counts(asked: Running) -> None:
    async def look(app: Top, pilot: Pilot[None]) -> None:
        logs = psutil.Process(asked.pid("victorialogs"))
        logs.suspend()
        try:
            await pilot.press("l", "b")
        finally:
            logs.resume()
        await until(pilot, lambda: all(worker.is_finished for worker in app.workers))
        assert app.query_one("#list").border_title == "Budgets"

    drive(asked, look)


def test_it_says_when_prometheus_is_away_and_recovers(asked: Running) -> None:
    async def look(app: Top, pilot: Pilot[None]) -> None:
        supervisor = asked.stack.supervisor
        await asyncio.to_thread(supervisor.stop_program, "prometheus")
        await until(pilot, lambda: "does not answer" in text(app, "status"))
        await asyncio.to_thread(supervisor.start_program, "prometheus")
        await until(pilot, lambda: "Prometheus at" in text(app, "status"))

    drive(asked, look)


def test_one_frame_is_printed_for_a_log(asked: Running, command: list[str]) -> None:
    environment = {**os.environ, "OTEL_TUTOR_DATA": str(asked.stack.data), "COLUMNS": "100"}
    assert wait_for(lambda: asked.backends.query("job:model_cost:sum1d > 0"), bool, seconds=60)
    answer = subprocess.run([*command, "top", "--once"], capture_output=True, text=True, check=False, env=environment)

    assert answer.returncode == 0, answer.stderr
    assert [title for title in TITLES if title not in answer.stdout] == []
    assert "budgets left:" in answer.stdout
    assert re.search(r"cost of models: tutor \S+ USD of 10 a day", answer.stdout)


ANSI = re.compile(r"\x1b\[[0-9;:?]*[A-Za-z]")
BROWSER = (  # as root, and without asking for anything outside
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def frame_bytes(frame: str | bytes) -> bytes:
    return frame.encode() if isinstance(frame, str) else frame


@pytest.fixture
def page(asked: Running, command: list[str]) -> Iterator[str]:
    """Where the overview is served for a browser."""
    port = unused_ports()["app"]
    environment = {**os.environ, "OTEL_TUTOR_DATA": str(asked.stack.data)}
    process = subprocess.Popen([*command, "top", "--web", f"--web-port={port}"], env=environment, stdout=subprocess.DEVNULL)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(timeout=10)


def test_a_browser_is_served_the_same(page: str, asked: Running) -> None:
    def status() -> int:
        try:
            return httpx2.get(page).status_code
        except httpx2.HTTPError:
            return 0

    assert wait_for(status, lambda code: code == 200, seconds=20) == 200
    received: list[bytes] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(BROWSER))
        tab = browser.new_page(viewport={"width": 1400, "height": 800})
        tab.on("websocket", lambda socket: socket.on("framereceived", lambda frame: received.append(frame_bytes(frame))))
        tab.goto(page)
        for _ in range(60):
            tab.wait_for_timeout(500)
            shown = ANSI.sub("", b"".join(received).decode("utf-8", "replace"))
            if "Prometheus at" in shown:
                break
        browser.close()
    assert [title for title in TITLES if title not in shown] == []
    (memory,) = asked.backends.query("max(job:system_memory_usage_bytes:max)")
    (seen, *_) = re.findall(r"([\d.]+) GB", shown)
    assert float(seen) == pytest.approx(memory.value / 1e9, rel=0.2)


def test_mistakes_are_one_line(run: Run, asked: Running) -> None:
    assert "the stack is not running" in one_line(run("top").stderr)
    there = {"OTEL_TUTOR_DATA": str(asked.stack.data)}
    assert "top needs a terminal: `otel-tutor top --once`" in one_line(run("top", **there).stderr)
    taken = str(asked.stack.state.ports["prometheus"])
    assert f"port {taken} (web) is taken by prometheus" in one_line(run("top", "--web", "--web-port", taken, **there).stderr)
