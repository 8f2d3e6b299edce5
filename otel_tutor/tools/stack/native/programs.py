"""What runs, in starting order: each component's command line and readiness page, and the environment they share."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from otel_tutor.tools.stack.configuration import collector_files
from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.ports import LOOPBACK, Ports, variable

__all__ = ["Program", "stack_environment", "stack_programs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A process to run; it is ready when `ready` answers 200."""

    name: str
    command: tuple[str, ...]
    ports: tuple[str, ...]  # names of the ports it listens on; the first is the one to show
    ready: str
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None  # it runs in, if not the data folder


def stack_programs(
    binaries: Binaries, configuration: Path, data: Path, ports: Ports, overlays: Sequence[str] = ()
) -> list[Program]:
    """The native stack, what is written to before what writes to it."""
    at = {name: f"{LOOPBACK}:{number}" for name, number in ports.items()}
    backends = configuration / "collector" / "backends"

    def program(name: str, *command: str | Path, ports: tuple[str, ...], ready: str, folder: Path | None = None) -> Program:
        return Program(name=name, command=tuple(map(str, command)), ports=ports, ready=f"http://{ready}", folder=folder)

    return [
        program(
            "victorialogs",
            binaries["victoria-logs"],
            f"-httpListenAddr={at['victorialogs']}",
            f"-storageDataPath={data / 'victorialogs'}",
            "-retentionPeriod=30d",
            ports=("victorialogs",),
            ready=f"{at['victorialogs']}/health",
        ),
        program(
            "jaeger",
            binaries["jaeger"],
            f"--config={backends / 'jaeger.yaml'}",
            ports=("jaeger", "jaeger-otlp", "jaeger-grpc", "jaeger-health", "jaeger-metrics"),
            ready=f"{at['jaeger-health']}/status",
        ),
        program(
            "pager",
            *(sys.executable, "-m", "otel_tutor.tools.stack.pager"),
            *(str(ports["pager"]), configuration / "alerts" / "runbooks"),
            ports=("pager",),
            ready=f"{at['pager']}/",
        ),
        program(
            "alertmanager",
            binaries["alertmanager"],
            "--config.file=alertmanager.yaml",
            f"--storage.path={data / 'alertmanager'}",
            f"--web.listen-address={at['alertmanager']}",
            "--cluster.listen-address=",  # one of it: no gossip port
            ports=("alertmanager",),
            ready=f"{at['alertmanager']}/-/ready",
            folder=configuration / "alerts",  # from where it finds receivers/
        ),
        program(
            "node-exporter",
            binaries["node_exporter"],
            f"--web.listen-address={at['node-exporter']}",
            ports=("node-exporter",),
            ready=f"{at['node-exporter']}/",
        ),
        program(
            "prometheus",
            binaries["prometheus"],
            f"--config.file={backends / 'prometheus.yaml'}",
            f"--storage.tsdb.path={data / 'prometheus'}",
            "--storage.tsdb.retention.time=32d",  # longer than the 30 days objectives are measured over
            "--enable-feature=exemplar-storage",
            "--web.enable-otlp-receiver",  # for the overlay native-histograms
            f"--web.listen-address={at['prometheus']}",
            ports=("prometheus",),
            ready=f"{at['prometheus']}/-/ready",
        ),
        program(
            "collector",
            binaries["otelcol"],
            *(f"--config={path}" for path in collector_files(configuration, overlays)),
            ports=("otlp", "metrics", "collector-metrics", "collector-health"),
            ready=f"{at['collector-health']}/",
        ),
    ]


def stack_environment(data: Path, ports: Ports) -> dict[str, str]:
    """What the configuration files read from the environment, on top of what is there already.

    Variables for the OpenTelemetry SDK are left out: what is meant for the app must not steer the Collector.
    """
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("OTEL_") or name.startswith("OTEL_TUTOR_")
    }
    return {
        **inherited,
        **{variable(name): str(number) for name, number in ports.items()},
        "OTEL_TUTOR_COLLECTOR_DATA": str(data / "collector"),
        "OTEL_TUTOR_JAEGER_DATA": str(data / "jaeger"),
        "OTEL_TUTOR_JAEGER_OTLP": f"{LOOPBACK}:{ports['jaeger-otlp']}",
        "OTEL_TUTOR_PROMETHEUS": f"http://{LOOPBACK}:{ports['prometheus']}",
        "OTEL_TUTOR_VICTORIALOGS": f"http://{LOOPBACK}:{ports['victorialogs']}",
    }
