"""compose.yaml against what else says the same thing."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from otel_tutor import __version__
from otel_tutor.tools.stack.components import COMPONENTS
from otel_tutor.tools.stack.configuration import collector_files
from otel_tutor.tools.stack.native.programs import stack_programs
from otel_tutor.tools.stack.ports import DEFAULTS, variable

_VARIABLE = re.compile(r"\$\{([A-Z_]+):-([^}]*)\}")
_SAME_FLAGS = ("prometheus", "alertmanager", "victorialogs", "jaeger", "collector")


def test_every_component_has_the_version_that_is_built_without_containers(services: Mapping[str, Any]) -> None:
    for component in COMPONENTS:
        tag = services[component.name]["image"].rpartition(":")[2].removeprefix("v")
        if component.name != "victorialogs":  # its images are numbered apart from its sources
            assert tag == component.version


def test_our_image_has_our_version_and_grafana_the_one_the_dashboards_are_for(
    services: Mapping[str, Any], repository: Path
) -> None:
    ours = {services[name]["image"] for name in ("volumes", "students", "tutor", "pager")}
    assert ours == {f"otel-tutor/demo:{__version__}"}
    sdk = re.search(r"grafana-foundation-sdk==\d+!(\d+\.\d+)\.", (repository / "pyproject.toml").read_text(encoding="utf-8"))
    assert sdk is not None
    assert services["grafana"]["image"].startswith(f"docker.io/grafana/grafana:{sdk[1]}.")


def test_ports_are_the_same_and_on_loopback(services: Mapping[str, Any]) -> None:
    published = [port for one in services.values() for port in one.get("ports", ())]
    defaults = {variable(name): number for name, number in DEFAULTS.items()}
    for port in published:
        assert (found := re.fullmatch(r"127\.0\.0\.1:\$\{([A-Z_]+):-(\d+)\}:(\d+)", port)), port
        assert found[2] == found[3]
        assert defaults[found[1]] == int(found[2])
    assert len(published) == 11


def test_the_example_of_settings_names_each_with_its_default(repository: Path) -> None:
    read = dict(_VARIABLE.findall((repository / "compose.yaml").read_text(encoding="utf-8")))
    example = (repository / ".env.example").read_text(encoding="utf-8").splitlines()

    assert dict(line.split("=", 1) for line in example if line and not line.startswith("#")) == read


@pytest.mark.parametrize("name", _SAME_FLAGS)
def test_components_are_started_as_they_are_without_containers(
    services: Mapping[str, Any], repository: Path, name: str
) -> None:
    binaries = dict.fromkeys(
        ("victoria-logs", "jaeger", "alertmanager", "node_exporter", "prometheus", "otelcol"), Path("/x")
    )
    native = {one.name: one for one in stack_programs(binaries, repository, Path("/data"), DEFAULTS)}
    said = [flag.replace("/etc/otel-tutor/", f"{repository}/") for flag in services[name]["command"]]
    expected = [flag for flag in native[name].command[1:] if "isten" not in flag or flag.endswith("=")]

    assert [flag.replace("/var/lib/", "/data/") for flag in said] == expected


def test_every_file_of_the_collector_is_merged_in_order(services: Mapping[str, Any], repository: Path) -> None:
    files = [f"--config=/etc/otel-tutor/collector/{path.name}" for path in collector_files(repository)]
    assert services["collector"]["command"] == files


def test_every_address_of_a_target_is_a_service_that_is_there(services: Mapping[str, Any], repository: Path) -> None:
    targets = [
        target
        for path in (repository / "collector" / "backends" / "targets").glob("*.yaml")
        for one in yaml.safe_load(path.read_text(encoding="utf-8"))
        for target in one["targets"]
    ]
    assert {target.partition(":")[0] for target in targets} <= services.keys()
    sources = (repository / "dashboards" / "provisioning" / "datasources" / "otel-tutor.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"http://([a-z]+):", sources)) <= services.keys()


def test_everything_is_limited_and_starts_again_by_itself(services: Mapping[str, Any]) -> None:
    for name, one in services.items():
        if name != "volumes":  # runs once
            assert one["restart"] == "unless-stopped"
            assert one["mem_limit"]
            assert one["cap_drop"] == ["ALL"]
