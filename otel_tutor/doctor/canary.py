"""The canary: a process that configures telemetry as an app would, sends one of each signal, and says under which names."""

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["NAME", "send"]

NAME: Final = "otel-tutor-doctor"  # the service under which it is found; no alert is about it
_SECONDS: Final = 60  # until the canary itself is given up
_FLUSH_SECONDS: Final = 8


def send(environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Run the canary. Its answer has `trace_id`, `seconds`, and `said`: what the SDK logged; or `refused`, a line."""
    command = [sys.executable, "-m", "otel_tutor.doctor.canary"]
    answer = subprocess.run(
        command, env=dict(environ), capture_output=True, text=True, check=False, timeout=_SECONDS, stdin=subprocess.DEVNULL
    )
    try:
        said: dict[str, Any] = json.loads(answer.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        said = {"refused": (answer.stderr.strip().splitlines() or ["it said nothing"])[-1]}
    return {**said, "said": answer.stderr}


def _sing() -> dict[str, Any]:
    import otel_tutor
    from otel_tutor.errors import OtelTutorError
    from otel_tutor.lifecycle import providers
    from otel_tutor.tracing import get_current_trace_id, trace_operation

    started = time.monotonic()
    try:
        otel_tutor.configure(service_name=NAME)
    except OtelTutorError as error:
        return {"refused": str(error)}
    with trace_operation("doctor.canary", {}):
        logging.getLogger(NAME).warning("a canary of otel-tutor doctor")
        trace_id = get_current_trace_id()
    if running := providers():
        running.flush(_FLUSH_SECONDS)
    otel_tutor.shutdown()
    return {"trace_id": trace_id, "seconds": time.monotonic() - started}


if __name__ == "__main__":
    print(json.dumps(_sing()))  # noqa: T201
