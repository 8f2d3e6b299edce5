"""The canary: a process that configures telemetry as an app does, sends one of each signal, and prints under which names.

    python -m otel_tutor.tools.doctor.canary [MODULE:NAME]

With the name of an app, it is the process of that app, without its server.
"""

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

from otel_tutor.tools.stack.output import last_line

__all__ = ["NAME", "log_to_stderr", "run", "send", "send_from_app", "send_signals"]

NAME: Final = "otel-tutor-doctor"  # the service that it reports as; no alert is about it
# The label `run` tells runs apart. Its values repeat after this many seconds, longer than the Collector shows a run (180 s).
_RUNS: Final = 600
_SECONDS: Final = 60  # a canary that takes longer has failed
_FLUSH_SECONDS: Final = 8


def send(environ: Mapping[str, str] = os.environ, app: str = "") -> dict[str, Any]:
    """Run the canary, in the process of an app if one is named. The answer has these keys:

    `trace_id`, `service`, `run`, `endpoint`, `seconds`, and `output`, what the SDK logged; or `refused`, a line.
    For an app also `imported`, in seconds, and `unheard`, a list of loggers; or `unimportable`, a line.
    """
    command = [sys.executable, "-m", "otel_tutor.tools.doctor.canary", *([app] if app else [])]
    # Without this, an app that does not name itself would show as another worker of its service for some minutes.
    environment = {**environ, **({"OTEL_SERVICE_NAME": NAME} if app else {})}
    try:
        answer = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=_SECONDS, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return {"unimportable" if app else "refused": f"it did not end within {_SECONDS} s", "output": ""}
    for line in reversed(answer.stdout.splitlines()):
        try:
            return {**json.loads(line)[NAME], "output": answer.stderr}
        except (KeyError, TypeError, ValueError):
            continue  # an app may print as well
    return {"unimportable" if app else "refused": last_line(answer.stderr), "output": answer.stderr}


def run(name: str) -> dict[str, Any]:
    """Send the canary from this process, with the app of this name if there is one."""
    from otel_tutor.errors import OtelTutorError

    try:
        return send_from_app(name) if name else send_signals()
    except OtelTutorError as error:
        return {"refused": str(error)}


def send_from_app(name: str) -> dict[str, Any]:
    """Import an app and send the canary from its process."""
    from otel_tutor.errors import OtelTutorError
    from otel_tutor.tools.doctor.app import load, unheard_loggers

    started = time.monotonic()
    try:
        load(name)
    except OtelTutorError:
        raise
    except (Exception, SystemExit) as error:
        return {"unimportable": " ".join(f"{type(error).__name__}: {error}".split())[:200]}
    took = time.monotonic() - started
    _configured()
    return {"imported": took, "unheard": unheard_loggers(name), **send_signals()}


def _configured() -> Any:
    """The pipeline that the app has configured, else the doctor's own; a second call returns the same one."""
    import otel_tutor
    from otel_tutor.errors import ConfigurationError
    from otel_tutor.lifecycle import providers

    if providers() is None:
        otel_tutor.configure(service_name=NAME)
    if (running := providers()) is None:
        raise ConfigurationError("the app has switched telemetry off, or shut it down")
    return running


def send_signals() -> dict[str, Any]:
    """Send a metric, a trace and a log line, and shut telemetry down."""
    import otel_tutor
    from otel_tutor.lifecycle import settings_in_effect
    from otel_tutor.recording.instruments import record
    from otel_tutor.tools.doctor.resolution import HISTOGRAM, MEASURED
    from otel_tutor.tracing import get_current_trace_id, trace_operation

    started, running = time.monotonic(), _configured()
    label = str(int(time.time()) % _RUNS)
    log_to_stderr()
    record(HISTOGRAM, 0, {"run": label})
    running.flush(_FLUSH_SECONDS / 2)
    with trace_operation("doctor.canary", {}):
        logging.getLogger(NAME).warning("a canary of otel-tutor doctor")
        trace_id = get_current_trace_id()
    for value in MEASURED:
        record(HISTOGRAM, value, {"run": label})
    running.flush(_FLUSH_SECONDS / 2)
    otel_tutor.shutdown()
    answer = {"trace_id": trace_id, "run": label, "seconds": time.monotonic() - started}
    if settings := settings_in_effect():
        neighbours = running.neighbours
        answer |= {"service": neighbours.service_name or settings.service_name, "endpoint": settings.endpoint}
        answer["guest"], _ = neighbours.describe(settings)
    return answer


def log_to_stderr() -> None:
    """Write the SDK's warnings to stderr, however the app has configured logging."""
    logger = logging.getLogger("otel_tutor")
    logger.disabled = False  # logging.config disables every logger that it does not know
    logger.addHandler(logging.StreamHandler())


if __name__ == "__main__":
    named = sys.argv.pop(1) if sys.argv[1:] else ""  # the app finds a command line without arguments
    print(json.dumps({NAME: run(named)}), flush=True)  # noqa: T201 - the parent process reads it
