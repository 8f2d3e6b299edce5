"""The wheel alone, in an empty environment, is enough."""

import os
import re
import subprocess
import sys
from pathlib import Path

from otel_tutor.stack.build import Binaries
from otel_tutor.stack.ports import variable
from tests.stack.conftest import unused_ports


def check(*command: str | Path, **options: object) -> str:
    result = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    assert result.returncode == 0, result.stdout + result.stderr
    return str(result.stdout)


def test_the_wheel_runs_the_stack_and_configures_an_app(repository: Path, tmp_path: Path, binaries: Binaries) -> None:
    check(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path, repository)
    (wheel,) = tmp_path.glob("*.whl")
    check(sys.executable, "-m", "venv", tmp_path / "venv")
    python, command = (tmp_path / "venv" / "bin" / name for name in ("python", "otel-tutor"))
    check(python, "-m", "pip", "install", "--quiet", wheel)
    ports = unused_ports()
    environ = {
        **os.environ,
        "OTEL_TUTOR_DATA": str(tmp_path / "data"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{ports['otlp']}",
        **{variable(name): str(number) for name, number in ports.items()},
    }
    try:
        assert re.search(r"^collector +0\.158\.0 +running", check(command, "up", cwd=tmp_path, env=environ), re.MULTILINE)
        check(python, "-W", "error", "-c", "import otel_tutor; otel_tutor.configure()", cwd=tmp_path, env=environ)
    finally:
        check(command, "down", cwd=tmp_path, env=environ)
