"""`otel-tutor init`: the files become the user's, and stay so."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import httpx2

from otel_tutor.tools.stack.backends import Backends
from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.polling import wait_for
from otel_tutor.tools.stack.project import MANIFEST, write
from tests.support.command import Run, one_line

RECORD = """
import otel_tutor
from otel_tutor.lifecycle import providers
from otel_tutor.monitoring import metrics_collector
otel_tutor.configure(service_name="mine")
metrics_collector.track_rag_query("physics", 0.31, 3, 1.0)
providers().flush()
otel_tutor.shutdown()
"""


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")


def test_what_is_edited_is_what_runs_and_stays(run: Run, binaries: Binaries, tmp_path: Path, ports: dict[str, int]) -> None:
    assert run("init").returncode == 0
    edit(
        tmp_path / "collector" / "naming.yaml",
        "0.1, 0.25, 0.5, 1.0, 2.5, 5.0])",
        "0.1, 0.25, 0.3, 0.4, 0.5, 1.0, 2.5, 5.0])",
    )
    edit(tmp_path / "alerts" / "alertmanager.yaml", "repeat_interval: 12h", "repeat_interval: 7h")
    assert run("up").returncode == 0
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{ports['otlp']}"}
    subprocess.run([sys.executable, "-c", RECORD], check=True, env=environment)
    with Backends(ports) as backends:
        within = 'rag_retrieval_duration_seconds_bucket{job="mine",le="0.4"}'
        samples = wait_for(lambda: backends.query(within), bool, seconds=30)
    assert [sample.value for sample in samples] == [1]
    routes = httpx2.get(f"http://127.0.0.1:{ports['alertmanager']}/api/v2/status").json()["config"]["original"]
    assert "repeat_interval: 7h" in routes

    again = run("init")
    assert again.returncode == 0
    assert "kept: collector/naming.yaml is edited" in again.stdout
    assert "+  repeat_interval: 7h" in again.stdout
    assert "0 files written, 0 updated, 2 edited ones kept" in again.stdout
    assert "repeat_interval: 7h" in (tmp_path / "alerts" / "alertmanager.yaml").read_text()


def test_a_newer_version_replaces_what_no_one_edited(tmp_path: Path) -> None:
    write(tmp_path)
    naming, runbook = tmp_path / "collector" / "naming.yaml", tmp_path / "alerts" / "runbooks" / "APIDown.md"
    older = naming.read_text() + "# older\n"
    shipped_hash = (tmp_path / MANIFEST).read_text()
    naming.write_text(older)
    runbook.unlink()
    (tmp_path / MANIFEST).write_text(shipped_hash.replace(_hash_of(shipped_hash, "collector/naming.yaml"), _sha(older)))
    written = write(tmp_path)

    assert written.updated == ["collector/naming.yaml"]
    assert written.removed == ["alerts/runbooks/APIDown.md"]
    assert "# older" not in naming.read_text()
    assert (written.new, written.edited) == ([], {})


def _hash_of(manifest: str, name: str) -> str:
    return str(json.loads(manifest)[name])


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_folder_that_cannot_be_written_and_a_damaged_manifest_are_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be written" in one_line(run("init", "file/below").stderr)

    (tmp_path / MANIFEST).write_text("{")
    assert "is damaged: remove it" in one_line(run("init").stderr)
