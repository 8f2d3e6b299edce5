"""`otel-tutor doctor --app`: the canary is sent from the process of an app, which gives away more."""

import os
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from otel_tutor.tools.doctor.causes import CAUSES
from tests.support.command import one_line
from tests.support.stack import Running

Consult = Callable[[str, str], subprocess.CompletedProcess[str]]

APP = """
import logging.config

import otel_tutor
from fastapi import FastAPI

app = FastAPI()
"""


@pytest.fixture
def consult(running: Running, command: list[str], tmp_path: Path) -> Consult:
    """The doctor, asked in the folder of an app with this source."""
    sent_to = {"OTEL_EXPORTER_OTLP_ENDPOINT": running.otlp, "OTEL_TUTOR_DATA": str(running.stack.data)}
    bare = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}

    def ask(source: str, name: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "lessons.py").write_text(APP + source, encoding="utf-8")
        return subprocess.run(
            [*command, "doctor", "--app", name],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env={**bare, **sent_to},
            cwd=tmp_path,
        )

    return ask


DISABLED = """
print("an app may print")
for name in ("lessons.billing", "lessons.quiz", "fastapi.routing"):
    logging.getLogger(name)
logging.config.dictConfig({
    "version": 1,
    "handlers": {"own": {"class": "logging.StreamHandler"}},
    "loggers": {"lessons.shown": {"handlers": ["own"], "propagate": False}},
})
"""


def test_loggers_of_the_app_that_are_disabled_are_named(consult: Consult) -> None:
    answer = consult(DISABLED, "lessons:app")

    assert answer.returncode == 0, answer.stderr
    assert f"{CAUSES['loggers'].cause} (lessons.billing, lessons.quiz): {CAUSES['loggers'].remedy}" in answer.stdout


def test_loggers_with_handlers_of_their_own_are_not(consult: Consult) -> None:
    answer = consult(DISABLED.replace('"version": 1', '"version": 1, "disable_existing_loggers": False'), "lessons:app")

    assert answer.returncode == 0, answer.stderr
    assert "note" not in answer.stdout


def test_an_app_that_configures_itself_is_followed_under_its_own_name(running: Running, consult: Consult) -> None:
    answer = consult("otel_tutor.configure(app, service_name='lessons')", "lessons:app")

    assert answer.returncode == 0, answer.stderr
    assert "ok    app" in answer.stdout
    assert "note" not in answer.stdout
    assert running.backends.query('otel_tutor_doctor_duration_seconds_count{job="lessons"}')


def test_a_library_that_set_a_provider_before_is_named(running: Running, consult: Consult) -> None:
    guest = """
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    trace.set_tracer_provider(TracerProvider(resource=Resource.create({"service.name": "lessons"})))
    otel_tutor.configure(app, service_name="lessons")
    """
    answer = consult(textwrap.dedent(guest), "lessons:app")

    assert answer.returncode == 0, answer.stderr
    assert "ok    app" in answer.stdout
    assert f"{CAUSES['guest'].cause} (" in answer.stdout
    assert "joined traces (opentelemetry.sdk.trace.TracerProvider)" in answer.stdout


@pytest.mark.parametrize(
    ("name", "source", "said"),
    [
        ("lesson:app", "", "No module named 'lesson'"),
        ("lessons", "", "'lessons' is not MODULE:NAME"),
        ("lessons:application", "", "has no attribute 'application'"),
        ("lessons:app", "1 / 0", "ZeroDivisionError"),
        ("lessons:app", "raise SystemExit('DATABASE_URL is not set')", "DATABASE_URL is not set"),
        ("lessons:app", "import os; os._exit(3)", "no output"),
    ],
)
def test_an_app_that_cannot_be_imported_is_one_line(consult: Consult, name: str, source: str, said: str) -> None:
    answer = consult(source, name)

    assert answer.returncode == 1
    line = one_line(answer.stderr)
    assert f"app: {CAUSES['app'].cause}" in line
    assert said in line


@pytest.mark.parametrize(
    "source",
    [
        "otel_tutor.configure(endpoint='localhost:4317')",
        "import os; os.environ['OTEL_SDK_DISABLED'] = 'true'; otel_tutor.configure(app)",
    ],
)
def test_what_an_apps_own_configure_refuses_is_named(consult: Consult, source: str) -> None:
    answer = consult(source, "lessons:app")

    assert answer.returncode == 1
    assert f"app: {CAUSES['refused'].cause}" in one_line(answer.stderr)
