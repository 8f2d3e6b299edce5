"""Installed instrumentations of OpenTelemetry start with `configure()`, unless the user or a variable says otherwise."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from otel_tutor.environment import HTTP
from tests.support.receiver import Receiver, http_receiver

pytestmark = pytest.mark.processes

INSTRUMENTORS = """
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
from opentelemetry.trace import get_tracer

STARTED = []


class Stationery(BaseInstrumentor):
    def instrumentation_dependencies(self):
        return []

    def _instrument(self, **kwargs):
        STARTED.append(type(self).__name__.lower())
        get_tracer("crayons", tracer_provider=kwargs["tracer_provider"]).start_span("drawn").end()

    def _uninstrument(self, **kwargs):
        pass


class Crayons(Stationery):
    pass


class Pencils(Stationery):
    pass


class Broken(Stationery):
    def _instrument(self, **kwargs):
        raise OSError("no paper")
"""
PROGRAM = """
import json, sys
import otel_tutor, stationery
try:
    otel_tutor.configure(endpoint=sys.argv[1], **json.loads(sys.argv[2]))
    otel_tutor.configure()
except otel_tutor.ConfigurationError as error:
    sys.exit(str(error))
print(json.dumps(stationery.STARTED))
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder in which instrumentations are installed, one of them for an old Starlette, one for what is not there."""
    (tmp_path / "stationery.py").write_text(INSTRUMENTORS)
    for name, target, requirement in [
        ("crayons", "Crayons", ""),
        ("pencils", "Pencils", ""),
        ("broken", "Broken", ""),
        ("fastapi", "Pencils", ""),
        ("paper", "Pencils", "no-such-paper"),
        ("ink", "Pencils", "starlette<0.1"),
    ]:
        information = tmp_path / f"{name}_instrumentation-1.0.dist-info"
        information.mkdir()
        needs = f"Requires-Dist: {requirement}; extra == 'instruments'\nProvides-Extra: instruments\n" if requirement else ""
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-instrumentation\nVersion: 1.0\n{needs}")
        (information / "entry_points.txt").write_text(f"[opentelemetry_instrumentor]\n{name} = stationery:{target}\n")
    return tmp_path


def configure(installed: Path, received: Receiver, options: object = None, **environ: str) -> tuple[list[str], str]:
    """What started, and what was logged."""
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), received.address, json.dumps(options or {})]
    environment = {**os.environ, "PYTHONPATH": str(installed), **environ}
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    return json.loads(result.stdout or "[]"), result.stderr


def test_what_is_installed_starts_once_and_one_that_fails_is_one_line(installed: Path, received: Receiver) -> None:
    started, logged = configure(installed, received)

    assert sorted(started) == ["crayons", "pencils"]
    assert sorted(span.name for span in received.spans) == ["drawn", "drawn"]
    ink, broken = sorted(logged.splitlines(), reverse=True)
    assert "instrumentation ink was not started: " in ink
    assert "starlette" in ink
    assert broken == "instrumentation broken was not started: OSError: no paper"


@pytest.mark.parametrize(
    ("options", "disabled", "started"),
    [
        ({"instrument": False}, "", []),
        ({"instrument": True}, "broken, ink,crayons", ["pencils"]),
        ({}, "*", []),
        ({"instrument": ["crayons", "fastapi"]}, "", ["crayons"]),
        ({"instrument": ["crayons", "pencils"]}, "pencils", ["crayons"]),
    ],
)
def test_the_user_narrows_what_starts(
    installed: Path, received: Receiver, options: object, disabled: str, started: list[str]
) -> None:
    assert configure(installed, received, options, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=disabled) == (started, "")


@pytest.mark.parametrize(
    ("names", "remedy"), [(["chalk"], "install opentelemetry-instrumentation-chalk"), ("ink", "pass True")]
)
def test_a_name_that_is_not_usable_is_refused(installed: Path, received: Receiver, names: object, remedy: str) -> None:
    started, logged = configure(installed, received, {"instrument": names})

    assert started == []
    (line,) = logged.splitlines()
    assert remedy in line


def test_exports_over_http_are_not_traced_by_the_instrumentation_of_requests() -> None:
    program = """
    import sys, requests
    import otel_tutor
    otel_tutor.configure(endpoint=sys.argv[1])
    requests.get(sys.argv[1])
    """
    environment = {**os.environ, "OTEL_EXPORTER_OTLP_PROTOCOL": HTTP, "OTEL_METRIC_EXPORT_INTERVAL": "50"}
    with http_receiver() as received:
        command = [sys.executable, "-c", textwrap.dedent(program), received.address]
        subprocess.run(command, timeout=60, check=True, env=environment)

        assert [span.name for span in received.spans] == ["GET"]
