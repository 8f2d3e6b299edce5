"""An app on an OpenTelemetry whose private part has another name, as a later release may have it.

    python -m tests.support.renamed NAME...

Prints a line of JSON for each name: what the app recorded while OpenTelemetry's sources had another name in its place,
what a forked child recorded, and what logger `otel_tutor` said. `nothing` renames nothing. Each name has its own process,
forked before OpenTelemetry is imported.
"""

import importlib
import importlib.machinery
import json
import logging
import os
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import CodeType
from typing import Any

import sqlalchemy
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from tests.support.fork import in_a_fork


def rename(name: str) -> None:
    """Have a name replaced in OpenTelemetry's modules as they are imported."""

    def get_code(self: importlib.machinery.SourceFileLoader, module: str) -> CodeType | None:
        source = self.get_source(module) if module.startswith("opentelemetry.") else None
        if source is None or not part.search(source):
            return before(self, module)
        return compile(part.sub(r"\g<0>_renamed", source), self.path, "exec", dont_inherit=True)

    part = re.compile(rf"(?<!\w)(?:{name})(?!\w)")
    time.time_ns_renamed = time.time_ns  # type: ignore[attr-defined]  # the one renamed part that OpenTelemetry imports
    before = importlib.machinery.SourceFileLoader.get_code
    importlib.machinery.SourceFileLoader.get_code = get_code  # type: ignore[assignment,method-assign]


class Lines(logging.Handler):
    """What a logger said."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line."""
        self.lines.append(record.getMessage())


def use_an_app() -> dict[str, Any]:
    """What is recorded of two requests that ask a question, and of a third in a forked child."""
    import otel_tutor
    from otel_tutor.monitoring import metrics_collector
    from otel_tutor.testing import capture
    from otel_tutor.tracing import trace_operation

    logged = Lines()
    logging.getLogger("otel_tutor").addHandler(logged)
    logging.getLogger("otel_tutor").propagate = False
    captured = capture()
    engine = sqlalchemy.create_engine(f"sqlite:///{tempfile.mkdtemp()}/tutor.db")

    def ask(_: Request) -> Response:
        with trace_operation("work"), engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT 1"))
            metrics_collector.track_rag_query("physics", 0.1, 0, 0.2)
            logging.getLogger("app").warning("asked")
        return PlainTextResponse("because")

    app = Starlette(routes=[Route("/ask/{question}", ask)])
    otel_tutor.configure(app, engine=engine)
    with captured.frozen():
        for question in ("why", "how"):
            assert TestClient(app).get(f"/ask/{question}").status_code == 200
    engine.dispose()
    later = sqlalchemy.create_engine("sqlite://")
    otel_tutor.configure(engine=later)
    with later.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT 1"))
    later.dispose()

    def recorded() -> dict[str, Any]:
        metrics = captured.read_metrics()
        ours = {name: points for name, points in metrics.items() if name.startswith(("http.server", "rag.", "db."))}
        servers = [span for span in captured.spans if span.kind.name == "SERVER"]
        return {
            "measurements": {name: sum(point.count or 0 for point in points) for name, points in sorted(ours.items())},
            "exemplars": sorted(name for name, points in ours.items() if points[0].exemplar_trace_ids),
            "spans": Counter(span.name.split()[0] for span in captured.spans),
            "requests": [[span.name, dict(span.attributes or {})] for span in servers],
            "logs": [str(log.log_record.body) for log in captured.logs],
            "logs in a trace": [bool(log.log_record.trace_id) for log in captured.logs],
        }

    parent = recorded()
    captured.clear()
    child = in_a_fork(lambda: (TestClient(app).get("/ask/why"), recorded())[1])
    return {"parent": parent, "child": child, "logged": logged.lines}


def main(names: list[str]) -> None:
    """Fork for each name."""
    for module in ("google.protobuf.internal.builder", "grpc", "psutil", "sqlalchemy.dialects.sqlite"):
        importlib.import_module(module)  # once instead of in each process
    assert not [module for module in sys.modules if module.startswith("opentelemetry")]
    for name in names:
        if not (child := os.fork()):
            rename(name)
            sys.stdout.write(json.dumps(use_an_app()) + "\n")
            return
        assert os.waitpid(child, 0)[1] == 0, name


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    main(sys.argv[1:])
