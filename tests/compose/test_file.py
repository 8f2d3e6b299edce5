"""compose.yaml and the targets that are scraped, held to the rows of components.py: other programs read these files."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from otel_tutor import __version__
from otel_tutor.tools.stack.components import BY_NAME, COMPONENTS, PORTS, Component
from otel_tutor.tools.stack.configuration import collector_files
from otel_tutor.tools.stack.native.programs import Layout, make_program
from otel_tutor.tools.stack.ports import DEFAULTS, variable
from otel_tutor.tools.stack.project import write

_VARIABLE = re.compile(r"\$\{([A-Z_]+):-([^}]*)\}")
_WITHOUT_ROW = {"volumes", "students"}  # one prepares the volumes, the other is the load
_BUILT = [component for component in COMPONENTS if component.module]


def written(services: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    if name not in services:
        pytest.fail(f"compose.yaml: write a service {name!r}, as its row in components.py says", pytrace=False)
    return dict(services[name])


by_name = pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.name)
built_by_name = pytest.mark.parametrize("component", _BUILT, ids=lambda component: component.name)


def test_every_component_is_a_service_and_every_service_a_component(services: Mapping[str, Any]) -> None:
    for name in BY_NAME.keys() - services.keys():
        pytest.fail(f"compose.yaml: write a service {name!r}, as components.py has it")
    for name in services.keys() - BY_NAME.keys() - _WITHOUT_ROW:
        pytest.fail(f"components.py: write a row for the service {name!r} of compose.yaml, or remove the service")


@built_by_name
def test_a_service_has_the_version_that_is_built_without_containers(
    services: Mapping[str, Any], component: Component
) -> None:
    assert component.module is not None
    tag = written(services, component.name)["image"].rpartition(":")[2].removeprefix("v")

    if component.name != "victorialogs":  # its images are numbered apart from its sources
        assert tag == component.module.version, f"compose.yaml: {component.name}: write the tag {component.module.version}"


def test_our_image_has_our_version_and_grafana_the_one_the_dashboards_are_for(
    services: Mapping[str, Any], repository: Path
) -> None:
    ours = {services[name]["image"] for name in ("volumes", "students", "tutor", "pager")}
    assert ours == {f"otel-tutor/demo:{__version__}"}
    sdk = re.search(r"grafana-foundation-sdk==\d+!(\d+\.\d+)\.", (repository / "pyproject.toml").read_text(encoding="utf-8"))
    assert sdk is not None
    assert services["grafana"]["image"].startswith(f"docker.io/grafana/grafana:{sdk[1]}.")


@by_name
def test_a_service_publishes_the_ports_of_its_row_on_loopback(services: Mapping[str, Any], component: Component) -> None:
    ports = [port for port in component.ports if port.published]
    expected = [f"127.0.0.1:${{{variable(port.name)}:-{port.default}}}:{port.default}" for port in ports]

    assert written(services, component.name).get("ports", []) == expected, (
        f"compose.yaml: {component.name}: write ports: {expected}"
    )


@by_name
def test_a_service_is_checked_on_the_page_of_its_row(services: Mapping[str, Any], component: Component) -> None:
    name, page = component.ready
    address = f"http://127.0.0.1:{DEFAULTS[name]}{page}"
    command = " ".join(written(services, component.name).get("healthcheck", {}).get("test", ()))

    if component.name != "collector":  # its image has no client
        asked = re.findall(r"http://[^\s\\\"]+", command)
        assert asked == [address], f"compose.yaml: {component.name}: write a healthcheck that asks {address}"


def test_the_example_of_settings_names_each_once_with_its_default(repository: Path, tmp_path: Path) -> None:
    """As `otel-tutor init` writes it, with the port variables that the shipped file does not list."""
    expected = dict(_VARIABLE.findall((repository / "compose.yaml").read_text(encoding="utf-8")))
    expected |= {variable(port.name): str(port.default) for port in PORTS}
    write(tmp_path)
    lines = (tmp_path / ".env.example").read_text(encoding="utf-8").splitlines()
    settings = [line for line in lines if line and not line.startswith("#")]

    assert sorted(settings) == sorted(f"{name}={value}" for name, value in expected.items()), (
        ".env.example: write each variable that compose.yaml reads, with its default, and no other"
    )


@built_by_name
def test_a_service_is_started_as_its_row_says(services: Mapping[str, Any], repository: Path, component: Component) -> None:
    """But for addresses to listen on; a container may have more flags, which say where it finds the host."""
    assert component.module is not None
    layout = Layout(
        binaries={component.module.program: Path("/x")}, configuration=repository, data=Path("/data"), ports=DEFAULTS
    )
    flags = [flag for flag in make_program(component, layout).command[1:] if "isten" not in flag or flag.endswith("=")]
    command = " ".join(written(services, component.name)["command"])
    there = command.replace("/etc/otel-tutor/", f"{repository}/").replace("/var/lib/", "/data/").split()
    missing = [flag for flag in flags if flag not in there]

    assert missing == [], f"compose.yaml: {component.name}: write in its command, with the paths inside: {missing}"


@built_by_name
def test_a_service_is_given_the_environment_of_its_row(services: Mapping[str, Any], component: Component) -> None:
    addresses = {port.name: f"{row.name}:{port.default}" for row in COMPONENTS for port in row.ports}
    environment = written(services, component.name).get("environment", {})
    for name, template in component.environment.items():
        assert name in environment, f"compose.yaml: {component.name}: write {name} in its environment"
        if "{data}" not in template:  # paths inside are the container's own
            value = template.format(at=addresses)
            assert environment[name] == value, f"compose.yaml: {component.name}: write {name}: {value}"


def test_every_file_of_the_collector_is_merged_in_order(services: Mapping[str, Any], repository: Path) -> None:
    files = [f"--config=/etc/otel-tutor/collector/{path.name}" for path in collector_files(repository)]
    assert services["collector"]["command"] == files


def test_every_component_with_metrics_of_its_own_is_scraped(repository: Path) -> None:
    rows = [(row.name, *row.own_metrics) for row in COMPONENTS if row.own_metrics]
    expected = {f'- {{targets: ["{name}:{DEFAULTS[port]}"], labels: {{job: {job}}}}}' for name, job, port in rows}
    text = (repository / "collector" / "backends" / "targets" / "stack.yaml").read_text(encoding="utf-8")
    lines = {line for line in text.splitlines() if not line.startswith("#")}

    assert expected - lines == set(), "collector/backends/targets/stack.yaml: write these lines"
    assert lines - expected == set(), "collector/backends/targets/stack.yaml: no row of components.py has these lines"


@pytest.mark.parametrize(
    ("file", "component", "port"), [("app", "collector", "metrics"), ("alertmanager", "alertmanager", "alertmanager")]
)
def test_prometheus_finds_the_apps_metrics_and_alertmanager(repository: Path, file: str, component: str, port: str) -> None:
    path = repository / "collector" / "backends" / "targets" / f"{file}.yaml"

    assert yaml.safe_load(path.read_text(encoding="utf-8")) == [{"targets": [f"{component}:{DEFAULTS[port]}"]}]


def test_every_data_source_is_a_service_on_its_port(repository: Path) -> None:
    sources = (repository / "dashboards" / "provisioning" / "datasources" / "otel-tutor.yaml").read_text(encoding="utf-8")

    for name, number in re.findall(r"http://([a-z]+):(\d+)", sources):
        assert number == str(BY_NAME[name].ports[0].default)


def test_everything_is_limited_and_starts_again_by_itself(services: Mapping[str, Any]) -> None:
    for name, service in services.items():
        if name != "volumes":  # runs once
            assert service["restart"] == "unless-stopped"
            assert service["mem_limit"]
            assert service["cap_drop"] == ["ALL"]
