"""The components of the stack, one row each: what it is made of, how it starts, where it answers, what is read from it.

Every table about components is made from these rows. `compose.yaml` and `collector/backends/targets/` are written by hand,
since other programs read them; tests hold them to the rows. Versions are pinned here and in the Go module of the same name
under `collector/build/`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

__all__ = ["BUILDER", "BY_NAME", "COLLECTOR_FILES", "COMPONENTS", "MODULES", "PORTS", "Component", "Module", "Port"]

COLLECTOR_FILES: Final = "{collector files}"  # an argument that becomes one --config for each file


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A pinned Go module: the binaries that are built from it, and which installed program serves as well."""

    name: str
    version: str
    binaries: Mapping[str, str]  # name of a binary -> Go package it is built from; the first runs, the others are its tools
    seconds: int  # that a build took on two cores with nothing cached
    oldest: tuple[int, int]  # oldest version on PATH that has every option and component used here
    version_flag: str = "--version"
    version_variable: str = ""  # Go variable that makes the binary know its version
    tags: str = ""
    on_path: tuple[str, ...] = ()  # names the first binary has elsewhere

    @property
    def program(self) -> str:
        """The binary that runs."""
        return next(iter(self.binaries))


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port that a component listens on; `otel-tutor up --port NAME=NUMBER` and a variable move it."""

    name: str
    default: int
    published: bool = True  # by compose.yaml; the others are for components alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One program of the stack, which is also a service of `compose.yaml`.

    `arguments`, `folder` and `environment` are those of a process, with `{at[NAME]}` for the address of a port,
    `{ports[NAME]}` for its number, `{configuration}` and `{data}` for the folders. Without a module, the program is Python.
    """

    name: str
    module: Module | None = None
    arguments: Sequence[str] = ()
    folder: str = "{data}"
    environment: Mapping[str, str] = field(default_factory=dict)  # the same variables are set in compose.yaml
    ports: Sequence[Port]  # the first is the one to show
    ready: tuple[str, str]  # port and page that answer 200
    own_metrics: tuple[str, str] | None = None  # job and port of its line in backends/targets/stack.yaml
    received: str = ""  # PromQL of counters that rise when data reach it; empty where it receives none
    look_at: tuple[str, str] | None = None  # title and page on the first port, for people to open


_PROMETHEUS_VERSION: Final = "github.com/prometheus/common/version.Version"

BUILDER: Final = Module(
    name="builder",
    version="0.158.0",
    binaries={"builder": "go.opentelemetry.io/collector/cmd/builder"},
    seconds=40,
    oldest=(0, 158),
)

# In starting order: a component starts after those that it writes to.
COMPONENTS: Final = (
    Component(
        name="victorialogs",
        module=Module(
            name="victorialogs",
            version="1.121.0",
            binaries={"victoria-logs": "github.com/VictoriaMetrics/VictoriaMetrics/app/victoria-logs"},
            seconds=30,
            oldest=(1, 0),
            version_flag="-version",
            version_variable="github.com/VictoriaMetrics/VictoriaMetrics/lib/buildinfo.Version",
            on_path=("victoria-logs-prod", "victoria-logs"),
        ),
        arguments=(
            "-httpListenAddr={at[victorialogs]}",
            "-storageDataPath={data}/victorialogs",
            "-retentionPeriod=30d",
            "-inmemoryDataFlushInterval=1s",  # the least there is: what it took since is lost if it is killed
        ),
        ports=(Port(name="victorialogs", default=9428),),
        ready=("victorialogs", "/health"),
        own_metrics=("victorialogs", "victorialogs"),
        received='vl_rows_ingested_total{job="victorialogs"}',
        look_at=("VictoriaLogs", "/select/vmui"),
    ),
    Component(
        name="jaeger",
        module=Module(
            name="jaeger",
            version="2.13.0",  # tagged v1.76.0 as a Go module: the same commit
            binaries={"jaeger": "github.com/jaegertracing/jaeger/cmd/jaeger"},
            seconds=300,
            oldest=(2, 13),
            version_flag="version",
            version_variable="github.com/jaegertracing/jaeger/internal/version.latestVersion",
            on_path=("jaeger",),
        ),
        arguments=("--config={configuration}/collector/backends/jaeger.yaml",),
        environment={"OTEL_TUTOR_JAEGER_DATA": "{data}/jaeger", "OTEL_TUTOR_PROMETHEUS": "http://{at[prometheus]}"},
        ports=(
            Port(name="jaeger", default=16686),
            Port(name="jaeger-health", default=13134),
            Port(name="jaeger-otlp", default=14317, published=False),
            Port(name="jaeger-grpc", default=16685, published=False),
            Port(name="jaeger-metrics", default=8887, published=False),
        ),
        ready=("jaeger-health", "/status"),
        own_metrics=("jaeger", "jaeger-metrics"),
        received='{__name__=~"otelcol_receiver_accepted_spans.*",job="jaeger"}',
        look_at=("Jaeger API", "/api/traces?service=tutor"),
    ),
    Component(
        name="pager",
        arguments=("-m", "otel_tutor.tools.stack.pager", "{ports[pager]}", "{configuration}/alerts/runbooks"),
        ports=(Port(name="pager", default=9095),),
        ready=("pager", "/"),
        received='alertmanager_notifications_total{job="alertmanager",integration="webhook"}',
        look_at=("notifications", "/notifications"),
    ),
    Component(
        name="alertmanager",
        module=Module(
            name="alertmanager",
            version="0.31.1",  # from 0.32 on the module lacks the files of its web page and does not compile
            binaries={
                "alertmanager": "github.com/prometheus/alertmanager/cmd/alertmanager",
                "amtool": "github.com/prometheus/alertmanager/cmd/amtool",
            },
            seconds=60,
            oldest=(0, 27),
            version_variable=_PROMETHEUS_VERSION,
            tags="timetzdata",  # school hours have a time zone, also where the machine or the image knows none
            on_path=("alertmanager",),
        ),
        arguments=(
            "--config.file=alertmanager.yaml",
            "--storage.path={data}/alertmanager",
            "--web.listen-address={at[alertmanager]}",
            "--cluster.listen-address=",  # there is one Alertmanager: no gossip port
        ),
        folder="{configuration}/alerts",  # from where it finds receivers/
        ports=(Port(name="alertmanager", default=9093),),
        ready=("alertmanager", "/-/ready"),
        own_metrics=("alertmanager", "alertmanager"),
        received='alertmanager_alerts_received_total{job="alertmanager"}',
        look_at=("Alertmanager", "/"),
    ),
    Component(
        name="node-exporter",
        module=Module(
            name="node-exporter",
            version="1.12.1",
            binaries={"node_exporter": "github.com/prometheus/node_exporter"},
            seconds=30,
            oldest=(1, 8),
            version_variable=_PROMETHEUS_VERSION,
            on_path=("node_exporter",),
        ),
        arguments=("--web.listen-address={at[node-exporter]}",),
        ports=(Port(name="node-exporter", default=9100),),
        ready=("node-exporter", "/"),
        own_metrics=("node", "node-exporter"),
    ),
    Component(
        name="blackbox",
        module=Module(
            name="blackbox-exporter",
            version="0.28.0",
            binaries={"blackbox_exporter": "github.com/prometheus/blackbox_exporter"},
            seconds=30,
            oldest=(0, 25),
            version_variable=_PROMETHEUS_VERSION,
            on_path=("blackbox_exporter",),
        ),
        arguments=(
            "--config.file={configuration}/collector/backends/blackbox.yaml",
            "--web.listen-address={at[blackbox]}",
        ),
        ports=(Port(name="blackbox", default=9115),),
        ready=("blackbox", "/-/healthy"),
        own_metrics=("blackbox", "blackbox"),
    ),
    Component(
        name="prometheus",
        module=Module(
            name="prometheus",
            version="3.16.0",
            binaries={
                "prometheus": "github.com/prometheus/prometheus/cmd/prometheus",
                "promtool": "github.com/prometheus/prometheus/cmd/promtool",
            },
            seconds=200,
            oldest=(3, 5),
            version_variable=_PROMETHEUS_VERSION,
            tags="remove_all_sd",  # no cloud discoveries: a third of the build; files and static targets stay
            on_path=("prometheus",),
        ),
        arguments=(
            "--config.file={configuration}/collector/backends/prometheus.yaml",
            "--storage.tsdb.path={data}/prometheus",
            "--storage.tsdb.retention.time=32d",  # longer than the 30 days objectives are measured over
            "--enable-feature=exemplar-storage,created-timestamp-zero-ingestion",
            "--web.enable-otlp-receiver",  # for the overlay native-histograms
            "--web.listen-address={at[prometheus]}",
        ),
        ports=(Port(name="prometheus", default=9090),),
        ready=("prometheus", "/-/ready"),
        own_metrics=("prometheus", "prometheus"),
        received='prometheus_tsdb_head_samples_appended_total{job="prometheus"}',
        look_at=("Prometheus API", "/api/v1/query?query=http_requests_total"),
    ),
    Component(
        name="collector",
        module=Module(
            name="collector",
            version="0.158.0",
            binaries={"otelcol": "."},  # of the sources that the builder generates from builder.yaml
            seconds=150,
            oldest=(0, 158),
            on_path=("otelcol-contrib",),
        ),
        arguments=(COLLECTOR_FILES,),
        environment={
            "OTEL_TUTOR_COLLECTOR_DATA": "{data}/collector",
            "OTEL_TUTOR_JAEGER_OTLP": "{at[jaeger-otlp]}",
            "OTEL_TUTOR_VICTORIALOGS": "http://{at[victorialogs]}",
        },
        ports=(
            Port(name="otlp", default=4317),
            Port(name="otlp-http", default=4318),
            Port(name="collector-metrics", default=8888),
            Port(name="collector-health", default=13133),
            Port(name="metrics", default=8889, published=False),
        ),
        ready=("collector-health", "/"),
        own_metrics=("collector", "collector-metrics"),
        received='{__name__=~"otelcol_receiver_accepted_.*",job="collector"}',
    ),
    Component(
        name="tutor",
        arguments=(
            *("-m", "uvicorn", "--factory", "otel_tutor.demo.app:create_app"),
            *("--host={loopback}", "--port={ports[app]}", "--workers=2", "--no-access-log"),
        ),
        environment={
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://{at[otlp]}",
            "OTEL_TUTOR_DATA": "{data}",
            "OTEL_TUTOR_DEMO_DATA": "{data}/tutor",
        },
        ports=(Port(name="app", default=8000),),
        ready=("app", "/health/ready"),
        received='http_requests_total{job="tutor"}',
        look_at=("the tutor", "/"),
    ),
    Component(  # as a process, it is what native/page.py finds
        name="grafana",
        ports=(Port(name="grafana", default=3000),),
        ready=("grafana", "/api/health"),
        look_at=("the overview", "/"),
    ),
)

BY_NAME: Final[Mapping[str, Component]] = {component.name: component for component in COMPONENTS}
# Two rows may run the same module.
MODULES: Final[Sequence[Module]] = tuple({row.module.name: row.module for row in COMPONENTS if row.module}.values())
# Those that people use before those between components.
PORTS: Final[Sequence[Port]] = (
    *(row.ports[0] for row in reversed(COMPONENTS)),
    *(port for row in COMPONENTS for port in row.ports[1:]),
)
