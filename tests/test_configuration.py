"""configure(): what it takes, what it refuses and in which words, and that it never holds up an app.

Global providers can be set once in a process, so each of these tests is its own process.
"""

import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes


def run(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a program that has `otel_tutor` imported, warnings being errors, with nothing listening on 4317."""
    program = "import otel_tutor\n" + textwrap.dedent(code)
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{unused_port()}", **environ}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **settings},
    )


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("42", "app=42 is not an application: pass a Starlette or FastAPI object"),
        ("engine='sqlite://'", "engine='sqlite://' is not a SQLAlchemy engine"),
        ("endpoint='collector:4317'", "endpoint='collector:4317' has no usable scheme and host: use http://host:4317"),
    ],
)
def test_an_invalid_argument_is_refused_in_one_line_before_anything_starts(arguments: str, message: str) -> None:
    result = run(f"""
        import threading
        try:
            otel_tutor.configure({arguments})
        except otel_tutor.ConfigurationError as error:
            print(threading.active_count(), error)
    """)

    assert result.stdout.startswith(f"1 {message}")
    assert len(result.stdout.splitlines()) == 1


def test_an_app_that_serves_already_is_refused() -> None:
    result = run("""
        from starlette.applications import Starlette
        from starlette.testclient import TestClient
        app = Starlette()
        TestClient(app).get("/")
        otel_tutor.configure(app)
    """)

    assert "is already serving: call configure() before its first request" in result.stderr


def test_a_later_call_inherits_what_it_does_not_name() -> None:
    result = run("""
        import sqlalchemy
        from otel_tutor.lifecycle import settings_in_effect
        from otel_tutor.recording.state import state
        otel_tutor.configure(service_name="a", endpoint="http://127.0.0.1:9")
        otel_tutor.configure(service_name="a")
        otel_tutor.configure(engine=sqlalchemy.create_engine("sqlite://"))
        print(settings_in_effect().service_name, settings_in_effect().endpoint, len(state.engines))
    """)

    assert result.stdout.strip() == "a http://127.0.0.1:9 1"
    assert "is not used" not in result.stderr


def test_a_value_that_contradicts_the_first_call_is_one_line_and_stops_nothing() -> None:
    result = run("""
        otel_tutor.configure(service_name="a")
        otel_tutor.configure(service_name="b")
    """)

    line = "service_name='b' is not used, this process was configured with 'a': call configure() with one of them"
    assert result.stderr.splitlines().count(line) == 1


def test_limits_hold_from_the_first_call_on() -> None:
    result = run(
        """
        from otel_tutor.recording.state import state
        otel_tutor.configure(cardinality_limits={"tutor.topic": 7})
        otel_tutor.configure()
        otel_tutor.configure(cardinality_limits={"tutor.topic": 8})
        print(state.limits["tutor.topic"], state.limits["http.route"], state.limits["tutor.subject"])
        """,
        OTEL_TUTOR_CARDINALITY_LIMITS="tutor.topic=1000,http.route=500",
    )

    assert result.stdout.strip() == "7 500 50"
    assert result.stderr.startswith("cardinality_limits={'tutor.topic': 8, 'http.route': 500} is not used, this process was")


def test_importing_starts_nothing_and_loads_no_grpc() -> None:
    result = run("""
        import sys, threading
        import otel_tutor.monitoring, otel_tutor.tracing
        print(sorted(name for name in sys.modules if name.partition(".")[0] == "grpc"), threading.active_count())
    """)

    assert result.stdout.strip() == "[] 1"


def test_every_call_is_harmless_before_configure() -> None:
    result = run("""
        from otel_tutor.monitoring import metrics_collector
        from otel_tutor.tracing import rag_tracer, get_current_trace_id
        metrics_collector.track_rag_query("physics", 0.1, 3, 0.2)
        with rag_tracer.trace_rag_query("why?", "physics"):
            print(get_current_trace_id())
    """)

    assert (result.stdout.strip(), result.stderr) == ("None", "")


def test_a_disabled_sdk_leaves_an_app_alone() -> None:
    result = run(
        """
        import threading
        from starlette.applications import Starlette
        from starlette.testclient import TestClient
        app = Starlette()
        otel_tutor.configure(app)
        print(TestClient(app).get("/").status_code, threading.active_count())
        """,
        OTEL_SDK_DISABLED="true",
    )

    assert result.stdout.strip() == "404 1"


def test_the_end_of_an_apps_lifespan_sends_what_it_recorded() -> None:
    result = run(
        """
        from opentelemetry import trace
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        from starlette.applications import Starlette
        from starlette.testclient import TestClient
        app, exporter = Starlette(), InMemorySpanExporter()
        otel_tutor.configure(app)
        trace.get_tracer_provider().add_span_processor(BatchSpanProcessor(exporter))
        with TestClient(app) as client:
            client.get("/")
        print([span.name for span in exporter.get_finished_spans()])
        """,
        OTEL_TRACES_EXPORTER="none",
        OTEL_METRICS_EXPORTER="none",
        OTEL_LOGS_EXPORTER="none",
    )

    assert result.stdout.strip() == "['GET']", result.stderr


@pytest.mark.parametrize("listening", [False, True], ids=["no one listens", "a listener never answers"])
def test_an_app_starts_works_and_ends_without_a_collector(listening: bool) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        if listening:
            deaf.listen()
        result = run(
            """
            import logging
            from otel_tutor.monitoring import metrics_collector
            from otel_tutor.tracing import trace_operation
            otel_tutor.configure()
            for _ in range(1000):
                with trace_operation("work"):
                    metrics_collector.track_student_activity("physics", "optics")
                    logging.getLogger("app").info("worked")
            print("worked", flush=True)
            otel_tutor.shutdown()
            print("stopped")
            """,
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{deaf.getsockname()[1]}",
        )

    assert result.stdout.split() == ["worked", "stopped"]
    lines = [line for line in result.stderr.splitlines() if line]
    assert len(lines) <= 1, result.stderr


def test_shutting_down_starts_no_thread_as_exiting_pythons_cannot() -> None:
    result = run("""
        import logging, threading
        otel_tutor.configure()
        logging.getLogger("app").warning("something to send")
        def refuse(thread):
            raise RuntimeError("can't create new thread at interpreter shutdown")
        threading.Thread.start = refuse
    """)

    assert result.returncode == 0
    assert "RuntimeError" not in result.stderr


def block_of_readme(repository: Path, start: str) -> str:
    blocks = (repository / "README.md").read_text(encoding="utf-8").split("```python\n")[1:]
    return next(block.partition("```")[0] for block in blocks if block.startswith(start))


def test_what_the_readme_records_of_quality_works_as_printed(repository: Path) -> None:
    program = block_of_readme(repository, "from otel_tutor import rag")
    result = run(f"import otel_tutor\notel_tutor.configure()\n{program}\nprint(reference)")

    assert len(result.stdout.strip().split("-")[1]) == 32
    assert "was not recorded" not in result.stderr


def test_the_app_in_the_readme_works_as_printed(repository: Path) -> None:
    result = run(
        block_of_readme(repository, "import otel_tutor")
        + "from starlette.testclient import TestClient\nprint(TestClient(app).get('/ask', params={'q': 'why?'}).text)"
    )

    assert result.stdout.strip() == "Because of the light's wavelength."


@pytest.mark.parametrize("first", ["", "otel_tutor.configure()"], ids=["before configure()", "after configure()"])
def test_the_calls_in_the_readme_work_as_printed(repository: Path, first: str) -> None:
    result = run(f"{first}\n" + block_of_readme(repository, "import asyncio") + "\nprint(trace_id)")

    status, endpoints, trace_id = result.stdout.splitlines()
    assert (status, endpoints) == ("healthy", "True True")
    assert (len(trace_id) == 32) if first else (trace_id == "None")
    assert not first or len(result.stderr.splitlines()) <= 1
