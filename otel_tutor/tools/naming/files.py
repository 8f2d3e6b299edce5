"""The Collector's files: what its processors do to the app's metrics on their way to the Prometheus exporter."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from otel_tutor.errors import ConfigurationError

__all__ = ["Route", "Text", "find_route", "kind_of", "merge", "read_collector", "section"]

FILES: Final = ("config.yaml", "naming.yaml", "privacy.yaml")  # in merging order


class Text(str):
    """A text of a YAML file that knows where it stands, e.g. `naming.yaml line 12`."""

    place: str


class _Loader(yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader):  # type: ignore[misc]  # chosen at import
    """Plain YAML whose texts know their lines; by the C library where there is one, ten times as fast."""


def _text(loader: _Loader, node: yaml.ScalarNode) -> Text:
    text = Text(loader.construct_scalar(node))
    text.place = f"{Path(node.start_mark.name).name} line {node.start_mark.line + 1}"
    return text


_Loader.add_constructor("tag:yaml.org,2002:str", _text)


def read_collector(collector: Path) -> Mapping[str, Any]:
    """The base files of the folder `collector/` as the Collector merges them: maps are joined, all else is replaced.

    Raises ConfigurationError for a file that is missing or is no YAML.
    """
    merged: Mapping[str, Any] = {}
    for name in FILES:
        try:
            with (collector / name).open(encoding="utf-8") as stream:
                merged = merge(merged, yaml.load(stream, _Loader) or {})
        except (OSError, UnicodeError, yaml.YAMLError) as error:
            raise ConfigurationError(f"{collector / name}: cannot be read: {' '.join(str(error).split())}") from None
    return merged


def merge(base: Any, over: Any) -> Any:
    """Two configurations as the Collector merges them: maps are joined, all else is replaced."""
    if not (isinstance(base, Mapping) and isinstance(over, Mapping)):
        return over
    return {**base, **{key: merge(base[key], value) if key in base else value for key, value in over.items()}}


def section(configuration: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """A map inside of a configuration; empty where there is none."""
    part: Any = configuration
    for key in keys:
        part = part.get(key) if isinstance(part, Mapping) else None
    return part if isinstance(part, Mapping) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The processors that the app's metrics pass, in their order, and the exporter at the end, by their ids."""

    processors: Sequence[str]
    exporter: str
    is_certain: bool = True


def find_route(configuration: Mapping[str, Any]) -> Route:
    """The way from the receiver `otlp` to the exporter `prometheus`; not certain unless there is exactly one."""
    pipelines = {
        name: {kind: [str(entry) for entry in parts.get(kind) or ()] for kind in ("receivers", "processors", "exporters")}
        for name, parts in section(configuration, "service", "pipelines").items()
        if kind_of(name) == "metrics" and isinstance(parts, Mapping)
    }
    starts = [name for name, parts in pipelines.items() if "otlp" in map(kind_of, parts["receivers"])]
    routes = [route for name in starts for route in _routes(pipelines, name, ())]
    if len(routes) == 1:
        return routes[0]
    nearest = routes[0].processors if routes else [name for start in starts for name in pipelines[start]["processors"]]
    return Route(processors=nearest, exporter="prometheus", is_certain=False)


def kind_of(component: str) -> str:
    """The type in a component's id, which is `type` or `type/name`."""
    return component.partition("/")[0]


def _routes(pipelines: Mapping[str, Mapping[str, list[str]]], name: str, behind: tuple[str, ...]) -> Iterator[Route]:
    if name in behind:
        return
    passed = (*behind, name)
    for exporter in pipelines[name]["exporters"]:
        if kind_of(exporter) == "prometheus":
            processors = [processor for pipeline in passed for processor in pipelines[pipeline]["processors"]]
            yield Route(processors=processors, exporter=exporter)
        elif kind_of(exporter) == "forward":
            for following, parts in pipelines.items():
                if exporter in parts["receivers"]:
                    yield from _routes(pipelines, following, passed)
