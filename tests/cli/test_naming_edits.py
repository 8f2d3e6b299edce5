"""naming.yaml as a user edits it: what is valid for the Collector stops no command, and only what it concerns is named."""

from pathlib import Path

import httpx2
import pytest

from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.polling import wait_for
from tests.support.command import Run

HTTP = '      - conditions: [metric.name == "http.server.request.duration"]\n        statements:\n'
EDITS = {
    "# HTTP. A path": "# A remark.\n      # HTTP. A path",
    HTTP: f'{HTTP}          - set(metric.unit, "s")\n',
    'conditions: [metric.name == "event_loop.lag"]': (
        'conditions: [metric.name == "event_loop.lag" or metric.name == "some.lag"]'
    ),
    "transform/naming": "transform/names",
    '- set(metric.name, "sync_records_processed")': (
        '- flatten(metric.metadata) where metric.name == "student.questions" # harmless\n'
        '          - merge_maps(resource.attributes, metric.metadata, "upsert")\n'
        '          - set(metric.unit, Concat(["{", "}"], "question")) where metric.name == "student.questions"\n'
        '          - set(metric.name, "sync_records_processed")'
    ),
}


@pytest.fixture
def project(run: Run, tmp_path: Path) -> Path:
    """A project folder with the files, edited in all of these ways."""
    assert run("init", ".").returncode == 0
    for path in (tmp_path / "collector").glob("[cn]*g.yaml"):
        text = path.read_text(encoding="utf-8")
        for old, new in EDITS.items():
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_edits_of_the_naming_file_stop_nothing(run: Run, binaries: Binaries, project: Path, ports: dict[str, int]) -> None:
    checked = run("config", "check")
    assert checked.returncode == 0, checked.stderr
    (line, last) = checked.stdout.splitlines()
    assert line.startswith("student_questions_total cannot be interpreted: naming.yaml line ")
    assert last.endswith("is valid.")

    started = run("up")
    assert started.returncode == 0, started.stderr
    listed = run("metrics")
    assert listed.returncode == 0, listed.stderr
    assert listed.stdout.count("It may be different: naming.yaml line") == 1

    def states() -> set[str]:
        groups = httpx2.get(f"http://127.0.0.1:{ports['prometheus']}/api/v1/rules").json()["data"]["groups"]
        return {rule["health"] for group in groups for rule in group["rules"] if rule["type"] == "alerting"}

    assert wait_for(states, {"ok"}.__eq__, seconds=60) == {"ok"}


def test_an_objective_about_a_family_that_cannot_be_interpreted_is_accepted_and_named(
    run: Run, binaries: Binaries, project: Path
) -> None:
    naming = project / "collector" / "naming.yaml"
    described = f'{HTTP}          - set(metric.description, Concat(["Time", "taken"], " "))\n'
    naming.write_text(naming.read_text().replace(HTTP, described), encoding="utf-8")
    slos = project / "alerts" / "slos.yaml"
    slos.write_text(slos.read_text().replace("threshold: 2 #", "threshold: 3 #"), encoding="utf-8")
    checked = run("config", "check")

    assert checked.returncode == 0, checked.stderr
    assert "objective api-latency: threshold 3.0 is not compared with the buckets" in checked.stdout
