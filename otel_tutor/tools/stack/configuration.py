"""The components' configuration files: checked, then rendered to where the components read them."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import yaml

from otel_tutor.errors import StackError
from otel_tutor.tools.objectives import write_rules
from otel_tutor.tools.rules import add_links
from otel_tutor.tools.stack.components import COMPONENTS
from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.output import last_line
from otel_tutor.tools.stack.ports import DEFAULTS, LOOPBACK, Ports

__all__ = [
    "check_by_components",
    "check_yaml",
    "collector_files",
    "render_config",
    "render_config_for_containers",
    "render_dashboards",
]

_FOLDERS: Final = ("collector", "alerts")
_BASE: Final = ("config.yaml", "naming.yaml", "privacy.yaml")


def check_yaml(source: Path) -> None:
    """Parse every file. Raises StackError with file and line of the first mistake."""
    for folder in _FOLDERS:
        for path in sorted((source / folder).rglob("*.yaml")):
            try:
                yaml.safe_load(path.read_text(encoding="utf-8"))
            except yaml.MarkedYAMLError as error:
                line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
                raise StackError(f"{path}{line}: not valid YAML: {error.problem}; fix that line") from None
            except (OSError, UnicodeError, yaml.YAMLError) as error:
                raise StackError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None


def collector_files(source: Path, overlays: Sequence[str] = ()) -> list[Path]:
    """The Collector's files in merging order: the base, then overlays, each a path or the name of one that is shipped.

    Raises StackError for an overlay that does not exist.
    """
    collector = source / "collector"
    files = [collector / name for name in _BASE]
    for overlay in overlays:
        path = Path(overlay).absolute() if "/" in overlay else collector / "overlays" / f"{overlay}.yaml"
        if not path.is_file():
            names = ", ".join(sorted(file.stem for file in (collector / "overlays").glob("*.yaml")))
            raise StackError(f"overlay {overlay!r} does not exist: use one of {names}, or a path to your file")
        files.append(path)
    return files


def check_by_components(
    binaries: Binaries, source: Path, environment: Mapping[str, str], overlays: Sequence[str] = ()
) -> None:
    """Have each component check its files. Raises StackError with its objection."""
    backends, files = source / "collector" / "backends", collector_files(source, overlays)
    checks: dict[str, list[str | Path]] = {
        f"collector/{' with '.join(path.name for path in files)}": [
            binaries["otelcol"],
            "validate",
            *(f"--config={path}" for path in files),
        ],
        "collector/backends/jaeger.yaml": [binaries["jaeger"], "validate", f"--config={backends / 'jaeger.yaml'}"],
        "collector/backends/prometheus.yaml": [binaries["promtool"], "check", "config", backends / "prometheus.yaml"],
        "collector/backends/blackbox.yaml": [
            binaries["blackbox_exporter"],
            "--config.check",
            f"--config.file={backends / 'blackbox.yaml'}",
        ],
        "alerts/alertmanager.yaml": [binaries["amtool"], "check-config", source / "alerts" / "alertmanager.yaml"],
    }
    for name, command in checks.items():
        answer = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)
        if answer.returncode:
            raise StackError(f"{name} is not valid: {last_line(answer.stdout + answer.stderr)} (in {source})")


def render_config(source: Path, target: Path, ports: Ports) -> None:
    """Write a fresh copy to where the components read it, with this machine's addresses and the rules of its objectives.

    Raises OSError, and ConfigurationError for objectives that cannot be.
    """
    _copy(source, target)
    backends = target / "collector" / "backends"
    folders = (backends / "targets", target / "alerts" / "receivers")
    for path in (backends / "prometheus.yaml", *(path for folder in folders for path in folder.iterdir())):
        path.write_text(_at_this_machine(path.read_text(encoding="utf-8"), ports), encoding="utf-8")
    _rewrite_ports(target, ports)


def render_config_for_containers(source: Path, target: Path, ports: Ports) -> None:
    """The same for components that know each other by name, with Grafana's files."""
    _copy(source, target)
    render_dashboards(source, target)
    _rewrite_ports(target, ports)


def render_dashboards(source: Path, target: Path) -> None:
    """Write a fresh copy of what Grafana reads into `target`. Raises OSError."""
    for part in ("json", "provisioning"):
        shutil.rmtree(target / "dashboards" / part, ignore_errors=True)
        shutil.copytree(source / "dashboards" / part, target / "dashboards" / part)


def _copy(source: Path, target: Path) -> None:
    for folder in _FOLDERS:
        shutil.rmtree(target / folder, ignore_errors=True)
        shutil.copytree(source / folder, target / folder, ignore=shutil.ignore_patterns("build"))
    write_rules(target)


def _rewrite_ports(target: Path, ports: Ports) -> None:
    """Give the links that people open the ports of this machine; other addresses stay."""
    add_links(target / "alerts" / "rules", target / "alerts" / "rules", ports)
    for path in (target / "alerts").glob("r[eu][cn]*/*.*"):  # receivers, runbooks
        text = path.read_text(encoding="utf-8")
        for name, default in DEFAULTS.items():
            text = re.sub(rf"\blocalhost:{default}\b", f"localhost:{{{name}}}", text)
        text = re.sub(r"\blocalhost:\{([a-z-]+)\}", lambda name: f"localhost:{ports[name[1]]}", text)
        path.write_text(text, encoding="utf-8")


def _at_this_machine(text: str, ports: Ports) -> str:
    """Addresses of this machine in place of the names by which containers know each other; other addresses stay."""
    for component in COMPONENTS:
        for port in component.ports:
            text = re.sub(rf"(?<![\w.-]){component.name}:{port.default}\b", f"{LOOPBACK}:{ports[port.name]}", text)
    return text
