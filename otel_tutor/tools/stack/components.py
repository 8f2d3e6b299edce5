"""The components of the stack: pinned once here and in the Go module of the same name under `collector/build/`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

__all__ = ["BUILDER", "COMPONENTS", "Component"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One program we run: what it is built from, and which installed one serves as well."""

    name: str
    version: str
    binaries: Mapping[str, str]  # name of a binary -> Go package it is built from
    oldest: tuple[int, int]  # oldest version on PATH that has every option and component used here
    version_flag: str = "--version"
    version_variable: str = ""  # Go variable that makes the binary know its version
    tags: str = ""
    on_path: tuple[str, ...] = field(default=())  # names the first binary has elsewhere

    @property
    def program(self) -> str:
        """The binary that runs; the others are its tools."""
        return next(iter(self.binaries))


_PROMETHEUS_VERSION: Final = "github.com/prometheus/common/version.Version"

BUILDER: Final = Component(
    name="builder",
    version="0.158.0",
    binaries={"builder": "go.opentelemetry.io/collector/cmd/builder"},
    oldest=(0, 158),
)

COMPONENTS: Final = (
    Component(
        name="victorialogs",
        version="1.121.0",
        binaries={"victoria-logs": "github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-logs"},
        oldest=(1, 0),
        version_flag="-version",
        version_variable="github.com/VictoriaMetrics/VictoriaMetrics/lib/buildinfo.Version",
        on_path=("victoria-logs-prod", "victoria-logs"),
    ),
    Component(
        name="jaeger",
        version="2.13.0",  # tagged v1.76.0 as a Go module: the same commit
        binaries={"jaeger": "github.com/jaegertracing/jaeger/cmd/jaeger"},
        oldest=(2, 13),
        version_flag="version",
        version_variable="github.com/jaegertracing/jaeger/internal/version.latestVersion",
        on_path=("jaeger",),
    ),
    Component(
        name="alertmanager",
        version="0.31.1",  # from 0.32 on the module lacks the files of its web page and does not compile
        binaries={
            "alertmanager": "github.com/prometheus/alertmanager/cmd/alertmanager",
            "amtool": "github.com/prometheus/alertmanager/cmd/amtool",
        },
        oldest=(0, 27),
        version_variable=_PROMETHEUS_VERSION,
        on_path=("alertmanager",),
    ),
    Component(
        name="node-exporter",
        version="1.12.1",
        binaries={"node_exporter": "github.com/prometheus/node_exporter"},
        oldest=(1, 8),
        version_variable=_PROMETHEUS_VERSION,
        on_path=("node_exporter",),
    ),
    Component(
        name="prometheus",
        version="3.16.0",
        binaries={
            "prometheus": "github.com/prometheus/prometheus/cmd/prometheus",
            "promtool": "github.com/prometheus/prometheus/cmd/promtool",
        },
        oldest=(3, 5),
        version_variable=_PROMETHEUS_VERSION,
        tags="remove_all_sd",  # no cloud discoveries: a third of the build; files and static targets stay
        on_path=("prometheus",),
    ),
    Component(
        name="collector",
        version="0.158.0",
        binaries={"otelcol": "."},  # of the sources that the builder generates from builder.yaml
        oldest=(0, 158),
        on_path=("otelcol-contrib",),
    ),
)
