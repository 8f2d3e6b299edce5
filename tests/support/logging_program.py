"""Programs that set up logging, each in its own process: a process has one root logger."""

import json
import subprocess
import sys
import textwrap
from typing import Any

__all__ = ["CONFIGURE", "run"]

START = """
import json, logging, logging.config, sys
import otel_tutor
from otel_tutor.testing import capture
from otel_tutor.tracing import get_current_trace_id, trace_operation

def show(value):
    sys.stdout.write(f"JSON {json.dumps(value)}\\n")  # at once: a thread may print as well

def look():
    root = logging.getLogger()
    return {"level": logging.getLevelName(root.level), "handlers": [type(handler).__name__ for handler in root.handlers]}

def sent():
    return [str(log.log_record.body) for log in kept.logs]
"""


def run(*parts: str) -> tuple[list[Any], str, str]:
    """What a program showed, and the rest of what it printed, to stdout and to stderr."""
    program = START + "".join(map(textwrap.dedent, parts))
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines(keepends=True)
    shown = [json.loads(line.removeprefix("JSON ")) for line in lines if line.startswith("JSON ")]
    return shown, "".join(line for line in lines if not line.startswith("JSON ")), result.stderr


CONFIGURE = "kept = capture()\n"
