"""The wheel alone, in an empty environment, is enough."""

import os
import re
import subprocess
import sys
from pathlib import Path

from otel_tutor.tools.stack.native.build import Binaries
from otel_tutor.tools.stack.ports import variable
from tests.support.ports import unused_ports

COMMANDS = {  # as a new user tries them, one after the other, and what is asked for where more is needed
    "doctor": "",
    "status": "",
    "metrics process_*": "",
    "slo": "",
    "logs collector": "",
    "config check": "",
    "config print": "",
    "build": "",
    "trace --slowest": "Jaeger has no such trace of tutor in the last 15 minutes",
    "trace 0123": "is not a trace id",
    "logs nobody": "there is no component 'nobody'",
    "init mine": "",
    "init mine --help": "",
    "restart": "",
    "up": "",
    "demo": "the demo needs numpy, sqlalchemy, uvicorn: pip install 'otel-tutor[demo]'",
    "drill HighLatency": "pip install 'otel-tutor[demo]'",
    "top": "top needs textual, textual_plotext, textual_serve: pip install 'otel-tutor[top]'",
}
TABLES = ("status", "metrics process_*", "slo", "restart", "up")


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
        "COLUMNS": "80",
        **{variable(name): str(number) for name, number in ports.items()},
    }
    try:
        assert re.search(r"^collector +0\.158\.0 +ready", check(command, "up", cwd=tmp_path, env=environ), re.MULTILINE)
        check(python, "-W", "error", "-c", "import otel_tutor; otel_tutor.configure()", cwd=tmp_path, env=environ)
        build = (
            "import pathlib; from otel_tutor.tools.stack.containers.compose import build_context;"
            "print(build_context(pathlib.Path('image').absolute()))"
        )
        context = Path(check(python, "-c", build, cwd=tmp_path).strip())
        check(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", context / "again", context)
        copied = re.findall(r"^COPY (.+) \S+$", (context / "otel_tutor" / "demo" / "Dockerfile").read_text(), re.MULTILINE)
        assert [name for line in copied for name in line.split() if not (context / name).exists()] == []
        for words, needed in COMMANDS.items():
            told = subprocess.run(
                [command, *words.split()], capture_output=True, text=True, check=False, cwd=tmp_path, env=environ
            )
            assert told.returncode == (1 if needed else 0), f"{words}: {told.stdout}{told.stderr}"
            assert needed in told.stderr
            assert told.stderr.count("\n") <= 1  # one line, and no traceback
            if words in TABLES:
                assert max(map(len, told.stdout.splitlines())) <= 80
    finally:
        check(command, "down", cwd=tmp_path, env=environ)
