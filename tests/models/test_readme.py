"""README's first page as it is printed, with the real client: one trace, counted once, and the cost of the account."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from otel_tutor.demo.model_server import Account
from tests.support.environments import REPOSITORY
from tests.support.receiver import Receiver, values

pytestmark = pytest.mark.models

ASK = """
import logging, sys
from starlette.testclient import TestClient

for name in ("httpx", "httpx2"):  # the test's own client logs the address that it asks
    logging.getLogger(name).setLevel(logging.WARNING)
otel_tutor.configure(endpoint=sys.argv[1])
assert "float" in TestClient(app).get("/ask", params={"q": "Why does a steel ship float?"}).text
"""


def test_the_first_page_is_a_tutor_whose_model_is_observed(
    python: Callable[[str], Path], model: str, account: Account, arrived: Receiver
) -> None:
    blocks = (REPOSITORY / "README.md").read_text(encoding="utf-8").split("```python\n")[1:]
    program = blocks[0].partition("```")[0] + ASK
    environment = {
        **os.environ,
        "OPENAI_BASE_URL": f"{model}/v1",
        "OPENAI_API_KEY": "none",
        "OTEL_EXPORTER_OTLP_ENDPOINT": arrived.address,
        "OTEL_METRIC_EXPORT_INTERVAL": "3600000",
        "NO_PROXY": "*",
    }
    command = [str(python("opentelemetry")), "-c", program, arrived.address]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)

    assert result.returncode == 0, result.stderr
    tokens = {str(row["type"]): int(str(row["count"])) for row in account.read()["tokens"]}
    (calls,) = arrived.points["gen_ai.client.operations"]
    (cost,) = arrived.points["model.cost"]
    assert calls.as_double == 1
    assert cost.as_double == pytest.approx((tokens["input"] * 0.25 + tokens["output"] * 2.00) / 1e6)
    assert values(cost)["http.route"] == "/ask"
    assert values(cost)["tutor.subject"] == "physics"
    spans = {span.name: span for span in arrived.spans}
    assert set(spans) == {"GET /ask", "rag.query", "chat gpt-5-mini"}
    assert len({span.trace_id for span in arrived.spans}) == 1
    assert spans["chat gpt-5-mini"].parent_span_id == spans["rag.query"].span_id
    assert "steel" not in str([*arrived.spans, *arrived.log_records])
