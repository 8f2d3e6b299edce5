"""Alert rules with the links that their readers follow: the alert's runbook, and the dashboard that shows more.

    python -m otel_tutor.tools.rules SOURCE TARGET

copies a folder of rules, with links at the ports of the environment. The sources have no addresses.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from otel_tutor.tools.stack.ports import Ports, choose

__all__ = ["DASHBOARDS", "add_links", "with_links"]

_OVERVIEW: Final = "otel-tutor-overview"
# The dashboard of a group's alerts, unless a rule has a `dashboard_url` itself; of any other group it is the overview.
DASHBOARDS: Final[Mapping[str, str]] = {
    "tutor-api": "otel-tutor-api",
    "tutor-rag": "otel-tutor-rag",
    "tutor-sync": "otel-tutor-sync",
    "tutor-health": "otel-tutor-health",
    "tutor-storage": "otel-tutor-storage",
    "slo-alerts": "otel-tutor-slo",
    "stack": "otel-tutor-pipeline",
    "sdk": "otel-tutor-pipeline",
}


def with_links(text: str, ports: Ports) -> str:
    """A file of rules, each alert with the annotations `runbook_url` and `dashboard_url`.

    One that a rule has already stays; if it is only a path, such as /d/my-dashboard, the address is put before it. Values
    keep the form in which they are written; comments are left out. Raises yaml.YAMLError for what is no YAML.
    """
    document = yaml.compose(text, yaml.SafeLoader)
    pager, grafana = (f"http://localhost:{ports[name]}" for name in ("pager", "grafana"))
    for group in _items(document, "groups"):
        name = _value(group, "name")
        dashboard = DASHBOARDS.get(name.value if name else "", _OVERVIEW)
        for rule in _items(group, "rules"):
            if alert := _value(rule, "alert"):
                _annotate(rule, "dashboard_url", grafana, f"/d/{dashboard}")
                _annotate(rule, "runbook_url", pager, f"/runbooks/{alert.value}")
    return yaml.serialize(document, Dumper=yaml.SafeDumper, width=125, allow_unicode=True) if document else ""


def _items(node: Any, key: str) -> list[Any]:
    value = _value(node, key)
    return value.value if isinstance(value, yaml.SequenceNode) else []


def _value(node: Any, key: str) -> Any:
    """The node of a key in a map; None where there is none."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for name, value in pairs if name.value == key), None)


def _annotate(rule: yaml.MappingNode, name: str, address: str, path: str) -> None:
    annotations = _value(rule, "annotations")
    present = annotations.value if isinstance(annotations, yaml.MappingNode) else []
    link = _value(annotations, name)
    target = link.value if link else path
    url = f"{address}{target}" if target.startswith("/") else target
    # Each rule gets its own map: several rules may share one by an anchor.
    kept = [(key, value) for key, value in present if key.value != name]
    linked = yaml.MappingNode("tag:yaml.org,2002:map", [*kept, (_scalar(name), _scalar(url))], flow_style=False)
    others = [(key, value) for key, value in rule.value if key.value != "annotations"]
    rule.value = [*others, (_scalar("annotations"), linked)]


def _scalar(text: str) -> yaml.ScalarNode:
    return yaml.ScalarNode("tag:yaml.org,2002:str", text)


def add_links(source: Path, target: Path, ports: Ports) -> None:
    """Write the rules of one folder into another, which may be the same, with their links.

    Raises OSError, and yaml.YAMLError for a file that is no YAML.
    """
    for path in sorted(source.glob("*.yaml")):
        (target / path.name).write_text(with_links(path.read_text(encoding="utf-8"), ports), encoding="utf-8")


def _copy(source: Path, target: Path) -> None:
    for path in target.glob("*.yaml"):
        path.unlink()  # of a rule file that is no more
    add_links(source, target, choose({}))


if __name__ == "__main__":
    _copy(Path(sys.argv[1]), Path(sys.argv[2]))
