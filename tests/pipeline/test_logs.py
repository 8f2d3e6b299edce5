"""What configure() does to stdlib logging. A process has one root logger, so each of these tests is its own process."""

import json
import subprocess
import sys
import textwrap
from typing import Any

import pytest

START = """
import json, logging, sys
import otel_tutor
from otel_tutor.testing import capture

def look():
    root = logging.getLogger()
    return {"level": logging.getLevelName(root.level), "handlers": [type(handler).__name__ for handler in root.handlers]}

def sent():
    return [str(log.log_record.body) for log in kept.logs]
"""


def run(code: str) -> tuple[list[Any], str]:
    """What a program printed, line by line as JSON, and its stderr."""
    program = START + textwrap.dedent(code)
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return [json.loads(line) for line in result.stdout.splitlines()], result.stderr


def test_an_unconfigured_root_logger_goes_to_info_and_still_prints_warnings() -> None:
    (before, after, sent), stderr = run("""
        print(json.dumps(look()))
        kept = capture()
        print(json.dumps(look()))
        logging.getLogger("app").info("asked")
        logging.getLogger("app").warning("slow")
        print(json.dumps(sent()))
    """)

    assert before == {"level": "WARNING", "handlers": []}
    assert after == {"level": "INFO", "handlers": ["_StderrHandler", "_Handler"]}
    assert (sent, stderr) == (["asked", "slow"], "slow\n")


def test_a_level_that_an_app_has_set_stays() -> None:
    (after, sent), _ = run("""
        logging.getLogger().setLevel(logging.ERROR)
        kept = capture()
        logging.getLogger("app").warning("slow")
        print(json.dumps(look()))
        print(json.dumps(sent()))
    """)

    assert (after["level"], sent) == ("ERROR", [])


def test_a_configured_root_logger_keeps_its_level_and_its_handlers() -> None:
    (after, sent), stderr = run("""
        logging.basicConfig(format="app: %(message)s")
        kept = capture()
        logging.getLogger("app").info("asked")
        logging.getLogger("app").warning("slow")
        print(json.dumps(look()))
        print(json.dumps(sent()))
    """)

    assert after == {"level": "WARNING", "handlers": ["StreamHandler", "_Handler"]}
    assert (sent, stderr) == (["slow"], "app: slow\n")


@pytest.mark.parametrize(("options", "handlers"), [("", ["_StderrHandler", "_Handler"]), ("force=True", ["StreamHandler"])])
def test_basic_config_comes_too_late_after_configure(options: str, handlers: list[str]) -> None:
    (after,), _ = run(f"""
        kept = capture()
        logging.basicConfig({options})
        print(json.dumps(look()))
    """)

    assert after["handlers"] == handlers


def test_a_servers_own_messages_are_sent_and_its_access_log_is_not() -> None:
    (sent,), _ = run("""
        import uvicorn
        uvicorn.Config("app:app")  # it configures its loggers
        kept = capture()
        logging.getLogger("uvicorn.error").info("Application startup complete.")
        logging.getLogger("uvicorn.access").info("127.0.0.1 - GET /ask?q=secret")
        print(json.dumps(sent()))
    """)

    assert sent == ["Application startup complete."]


def test_after_shutdown_a_log_record_goes_where_it_went_before() -> None:
    (handlers,), stderr = run("""
        kept = capture()
        otel_tutor.shutdown()
        logging.getLogger("app").warning("late")
        print(json.dumps(look()["handlers"]))
    """)

    assert (handlers, stderr) == (["_StderrHandler"], "late\n")


def test_records_of_telemetry_itself_are_not_sent() -> None:
    (sent,), _ = run("""
        kept = capture()
        for name in ("app", "otel_tutor.demo.tutor", "otel_tutor", "opentelemetry.exporter", "grpc"):
            logging.getLogger(name).error(name)
        print(json.dumps(sent()))
    """)

    assert sent == ["app", "otel_tutor.demo.tutor"]
