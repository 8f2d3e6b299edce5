"""The canary: a process that configures telemetry as an app would, sends one of each signal, and says under which names.

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

__all__ = ["NAME", "send"]

NAME: Final = "otel-tutor-doctor"  # the service under which it is found; no alert is about it
_RUNS: Final = 600  # seconds: runs are told apart by a label, whose values come round long after a run is forgotten
_SECONDS: Final = 60  # until the canary itself is given up
_FLUSH_SECONDS: Final = 8


def send(environ: Mapping[str, str] = os.environ, app: str = "") -> dict[str, Any]:
    """Run the canary, in the process of an app if it is named. What it answers:

    `trace_id`, `service`, `run`, `endpoint`, `seconds`, `said`: what the SDK logged; or `refused`, a line.
    Of an app: `imported`, in seconds, `unheard`, a list of loggers, and `twice`; or `unimportable`, a line.
    """
    command = [sys.executable, "-m", "otel_tutor.tools.doctor.canary", *([app] if app else [])]
    # An app that does not name itself is the doctor here, too: else its gauges have one worker more for minutes.
    environment = {**environ, **({"OTEL_SERVICE_NAME": NAME} if app else {})}
    try:
        answer = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=_SECONDS, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return {"unimportable" if app else "refused": f"it did not end within {_SECONDS} s", "said": ""}
    for line in reversed(answer.stdout.splitlines()):
        try:
            return {**json.loads(line)[NAME], "said": answer.stderr}
        except (KeyError, TypeError, ValueError):
            continue  # an app may print as well
    return {"unimportable" if app else "refused": last_line(answer.stderr), "said": answer.stderr}


def _sing(name: str) -> dict[str, Any]:
    from otel_tutor.errors import OtelTutorError

    try:
        return _beside(name) if name else _sung()
    except OtelTutorError as error:
        return {"refused": str(error)}


def _beside(name: str) -> dict[str, Any]:
    """Sing in the process of an app."""
    from otel_tutor.errors import OtelTutorError
    from otel_tutor.tools.doctor.app import instrumented_twice, load, unheard_loggers

    started = time.monotonic()
    try:
        app = load(name)
    except OtelTutorError:
        raise
    except (Exception, SystemExit) as error:
        return {"unimportable": " ".join(f"{type(error).__name__}: {error}".split())[:200]}
    took = time.monotonic() - started
    _configured()
    return {"imported": took, "unheard": unheard_loggers(), "twice": instrumented_twice(app), **_sung()}


def _configured() -> Any:
    """The pipeline as the app has configured it, else as the doctor does; called again, it is the same one."""
    import otel_tutor
    from otel_tutor.errors import ConfigurationError
    from otel_tutor.lifecycle import providers

    if providers() is None:
        otel_tutor.configure(service_name=NAME)
    if (running := providers()) is None:
        raise ConfigurationError("the app has switched telemetry off, or shut it down")
    return running


def _sung() -> dict[str, Any]:
    import otel_tutor
    from otel_tutor.lifecycle import settings_in_effect
    from otel_tutor.recording.instruments import record
    from otel_tutor.tools.doctor.resolution import HISTOGRAM, MEASURED
    from otel_tutor.tracing import get_current_trace_id, trace_operation

    started, running = time.monotonic(), _configured()
    run = str(int(time.time()) % _RUNS)
    _listen()
    record(HISTOGRAM, 0, {"run": run})
    running.flush(_FLUSH_SECONDS / 2)
    with trace_operation("doctor.canary", {}):
        logging.getLogger(NAME).warning("a canary of otel-tutor doctor")
        trace_id = get_current_trace_id()
    for value in MEASURED:
        record(HISTOGRAM, value, {"run": run})
    running.flush(_FLUSH_SECONDS / 2)
    otel_tutor.shutdown()
    answer = {"trace_id": trace_id, "run": run, "seconds": time.monotonic() - started}
    if settings := settings_in_effect():
        answer |= {"service": settings.service_name, "endpoint": settings.endpoint}
    return answer


def _listen() -> None:
    """Have what the SDK complains of on stderr, whatever an app has made of logging."""
    complaints = logging.getLogger("otel_tutor")
    complaints.disabled = False  # logging.config disables what it does not know
    complaints.addHandler(logging.StreamHandler())


if __name__ == "__main__":
    named = sys.argv.pop(1) if sys.argv[1:] else ""  # the app finds a command line without arguments
    print(json.dumps({NAME: _sing(named)}), flush=True)  # noqa: T201
