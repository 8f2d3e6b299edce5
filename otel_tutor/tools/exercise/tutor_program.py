"""The tutor as a process of the stack: uvicorn with two workers, sending to the stack's Collector."""

import sys
from pathlib import Path
from typing import Final

from otel_tutor.demo.settings import DATA_VARIABLE
from otel_tutor.tools.stack.native.programs import Program
from otel_tutor.tools.stack.ports import LOOPBACK, Ports

__all__ = ["tutor_program"]

_WORKERS: Final = 2


def tutor_program(data: Path, ports: Ports, *, workers: int = _WORKERS) -> Program:
    """Serves on the `app` port and keeps its files under `data`."""
    return Program(
        name="tutor",
        command=(
            sys.executable,
            "-m",
            "uvicorn",
            "--factory",
            "otel_tutor.demo.app:create_app",
            f"--host={LOOPBACK}",
            f"--port={ports['app']}",
            f"--workers={workers}",
            "--no-access-log",
        ),
        ports=("app",),
        ready=f"http://{LOOPBACK}:{ports['app']}/health/ready",
        environment={
            DATA_VARIABLE: str(data / "tutor"),
            "OTEL_TUTOR_DATA": str(data),
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{LOOPBACK}:{ports['otlp']}",
        },
    )
