"""`otel-tutor demo`: what it shows, and that it leaves nothing behind however it ends."""

import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.native.supervision import _socket_folder
from otel_tutor.tools.stack.polling import wait_for
from tests.support.command import Run, left_running, one_line


def test_the_demo_reports_what_the_backends_hold(run: Run, binaries: Binaries, environment: dict[str, str]) -> None:
    result = run("demo", "--seconds", "8")

    assert result.returncode == 0, result.stderr
    for part in ("HTTP request ", "RAG retrieval ", "questions: biology", "le=", "rag.retrieval", "subject="):
        assert part in result.stdout
    assert left_running(environment) == []


def test_a_folder_that_no_demo_wrote_is_not_emptied(run: Run, environment: dict[str, str]) -> None:
    letter = Path(environment["OTEL_TUTOR_DATA"]) / "demo" / "letter.txt"
    letter.parent.mkdir(parents=True)
    letter.write_text("mine", encoding="utf-8")
    result = run("demo")

    assert result.returncode == 1
    assert "has files that otel-tutor did not write: move them" in one_line(result.stderr)
    assert letter.read_text(encoding="utf-8") == "mine"


def test_what_did_not_arrive_fails_the_demo(run: Run, binaries: Binaries, tmp_path: Path, repository: Path) -> None:
    for folder in ("otel_tutor", "collector", "alerts"):
        shutil.copytree(repository / folder, tmp_path / "checkout" / folder)
    naming = tmp_path / "checkout" / "collector" / "naming.yaml"
    entry = '- set(metric.name, "sync_records_processed")'
    another = '- set(metric.name, "questions_by_another_name") where metric.name == "student.questions"'
    naming.write_text(naming.read_text().replace(entry, f"{another}\n          {entry}"))
    result = run("demo", "--seconds", "5", PYTHONPATH=str(tmp_path / "checkout"))

    assert result.returncode == 1
    assert "otel-tutor: not everything arrived: of " in result.stderr
    assert "questions 0 are in student_questions_total" in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_an_interrupted_demo_leaves_no_process_behind(
    command: list[str], binaries: Binaries, environment: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    with (tmp_path / "out").open("w") as output:
        demo = subprocess.Popen([*command, "demo"], stdout=output, stderr=output, env=environment)
    wait_for(lambda: len(left_running(environment)), lambda count: count > 8, seconds=60)
    second = subprocess.run([*command, "demo"], capture_output=True, text=True, check=False, env=environment)
    assert "a demo is running already" in one_line(second.stderr)
    demo.send_signal(number)

    assert demo.wait(timeout=60) == {signal.SIGKILL: -9}.get(number, 130)
    assert wait_for(lambda: left_running(environment), lambda left: not left, seconds=30) == []
    assert "Traceback" not in (tmp_path / "out").read_text()
    data = Path(environment["OTEL_TUTOR_DATA"]) / "demo"
    folder = _socket_folder(data)  # the data folder itself, unless its path is long
    assert folder == data or not folder.exists() or list(folder.iterdir()) == []
