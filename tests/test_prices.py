"""What calls to models cost: read, computed, recorded by model, subject and endpoint, and never guessed."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

import otel_tutor
from otel_tutor.errors import ConfigurationError
from otel_tutor.monitoring import metrics_collector
from otel_tutor.prices import Prices, Seller
from otel_tutor.rag import observe_question
from otel_tutor.testing import Capture
from otel_tutor.tracing import rag_tracer

SMALL = {"input": 2, "output": 8, "cache_read": 0.5}
PRICES: Mapping[str, Any] = {"currency": "EUR", "models": {"small": SMALL, "local-*": {"input": 0, "output": 0}}}
MILLION = 1_000_000


@pytest.fixture
def priced(captured: Capture) -> Capture:
    otel_tutor.configure(prices=PRICES)
    return captured


@pytest.mark.parametrize(
    ("tokens", "cost"),
    [
        ({"input": MILLION}, 2),
        ({"input": MILLION, "output": MILLION}, 10),
        ({"input": MILLION, "cache_read": MILLION / 2}, 1.25),  # a part of the input
        ({"input": MILLION, "cache_write": MILLION / 2}, 2),  # priced as input
        ({"output": MILLION, "reasoning": MILLION}, 8),
        ({"input": 10, "cache_read": MILLION}, 10 * 0.5 / MILLION),  # more cached than read cannot be
        ({}, 0),
    ],
)
def test_each_token_costs_once(tokens: Mapping[str, float], cost: float) -> None:
    assert Prices.read(PRICES, "prices").cost("small", tokens, Seller()) == pytest.approx(cost)


def test_the_first_pattern_that_fits_gives_the_price_unless_the_name_has_one() -> None:
    free, paid = {"input": 0, "output": 0}, {"input": 1, "output": 1}
    prices = Prices.read({"currency": "USD", "models": {"gpt*": free, "*": paid, "gpt-x": paid}}, "prices")

    assert [prices.cost(model, {"input": MILLION}, Seller()) for model in ("gpt-x", "gpt-y", "other")] == [1, 0, 1]


def test_prices_are_read_from_yaml(tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    models = "  small: {input: 2, output: 8, cache_read: 0.5}\n  local-*: {input: 0, output: 0}\n"
    file.write_text(f"currency: EUR\nmodels:\n{models}")

    assert Prices.read(file, "prices") == Prices.read(PRICES, "prices")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("models: [", r"is not YAML in line \d+: correct it"),
        ("- 1", "prices: 'list' is not expected: use the keys currency, models, others"),
        ("currency: USD\nmodel: {}", "prices: 'model' is not expected"),
        ("currency: dollars", "currency='dollars' is not a currency"),
        ("currency: USD\nmodels: 3", "models=3 is not a mapping"),
        ("currency: USD\nmodels: {a: 3}", "a=3 has no prices"),
        ("currency: USD\nmodels: {a: {input: 1, outptu: 2}}", "a has 'outptu', no type of token: use input, output,"),
        ("currency: USD\nmodels: {a: {input: 1}}", "a has no price for output: add one; 0 is a price"),
        ("currency: USD\nmodels: {a: {input: -1, output: 2}}", "input=-1, no price"),
        ("currency: USD\nmodels: {a: {input: yes, output: 2}}", "input=True, no price"),
        ("currency: EUR\nothers: genai-prices", "others='genai-prices' is not supported for EUR"),
    ],
)
def test_what_is_no_list_of_prices_is_one_line(tmp_path: Path, content: str, line: str) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text(content)

    with pytest.raises(ConfigurationError, match=line) as raised:
        otel_tutor.configure(prices=file)

    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TUTOR_PRICES", "/no/such/prices.yaml")

    with pytest.raises(ConfigurationError, match=r"OTEL_TUTOR_PRICES='/no/such/prices\.yaml' cannot be read \(No such file"):
        otel_tutor.configure()


def test_a_cost_is_of_its_model_subject_and_endpoint(priced: Capture) -> None:
    def ask(request: Request) -> PlainTextResponse:
        with observe_question("Why?", subject="undecided") as question:
            question.subject = "physics"
            with question.generation("small", provider="openai", input_tokens=1_000) as generation:
                generation.output_tokens, generation.cache_read_tokens = 500, 400
        return PlainTextResponse("because")

    app = Starlette(routes=[Route("/ask/{pupil}", ask)])
    otel_tutor.configure(app)
    TestClient(app).get("/ask/ada")
    cost = (600 * 2 + 400 * 0.5 + 500 * 8) / MILLION

    assert priced.value("model_cost_total", subject="physics", endpoint="/ask/{pupil}", currency="EUR") == pytest.approx(
        cost
    )
    (call,) = [span for span in priced.spans if span.name == "chat small"]
    assert call.attributes is not None
    assert call.attributes["gen_ai.usage.cost"] == pytest.approx(cost)
    assert (call.kind.name, call.attributes["gen_ai.provider.name"]) == ("CLIENT", "openai")
    assert priced.value("model_tokens_total", type="cache_read") == 400


def test_a_call_in_a_traced_question_costs_for_its_subject(priced: Capture) -> None:
    with rag_tracer.trace_rag_query("Why?", "biology"):
        metrics_collector.track_model_inference("small", "none", 1.0, MILLION, 0, "success")

    assert priced.value("model_cost_total", subject="biology", endpoint="none") == 2


def test_a_model_without_a_price_is_counted_and_costs_no_zero(priced: Capture) -> None:
    metrics_collector.track_model_inference("new", "none", 1.0, 10, 10, "success")

    assert priced.value("model_cost_unknown_total", model_name="new", reason="price") == 1
    assert priced.value("model_cost_total", model_name="new") == 0


@pytest.mark.parametrize(
    ("model", "tokens", "status", "unknown"),
    [
        ("small", (None, None), "success", 1),
        ("small", (10, None), "success", 1),
        ("small", (None, None), "cancelled", 1),  # a stream that was left: what was sent is charged
        ("small", (10, None), "error", 1),
        ("small", (None, None), "error", 0),  # not answered, so not charged
        ("local-1", (None, None), "success", 0),  # free, however many
    ],
)
def test_tokens_that_are_not_known_make_the_cost_unknown(
    priced: Capture, model: str, tokens: tuple[int | None, int | None], status: str, unknown: int
) -> None:
    metrics_collector.track_model_inference(model, "none", 1.0, *tokens, status)

    assert priced.value("model_cost_unknown_total", reason="tokens") == unknown


def test_without_prices_no_cost_is_recorded(captured: Capture) -> None:
    metrics_collector.track_model_inference("small", "none", 1.0, 10, 10, "success")

    assert captured.value("model_cost_total") == captured.value("model_cost_unknown_total") == 0


def test_a_later_call_that_names_no_prices_keeps_them(priced: Capture) -> None:
    otel_tutor.configure(service_name="worker")
    metrics_collector.track_model_inference("small", "none", 1.0, MILLION, 0, "success")

    assert priced.value("model_cost_total") == 2


def test_a_file_that_the_environment_names_is_used(
    captured: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text("currency: USD\nmodels: {small: {input: 3, output: 4}}\n", encoding="utf-8")
    monkeypatch.setenv("OTEL_TUTOR_PRICES", str(file))
    otel_tutor.configure()
    metrics_collector.track_model_inference("small", "none", 1.0, MILLION, 0, "success")

    assert captured.value("model_cost_total", currency="USD") == 3


@pytest.mark.processes
def test_in_an_app_prices_may_come_later_and_others_are_one_line(tmp_path: Path) -> None:
    program = """
import otel_tutor
from otel_tutor.recording.state import state

free = {"input": 0, "output": 0}
otel_tutor.configure()
otel_tutor.configure(prices={"currency": "EUR", "models": {"*": free}})
otel_tutor.configure(prices={"currency": "USD", "models": {"*": free}})
print(state.settings.prices.currency)
"""
    environment = {**os.environ, "OTEL_METRICS_EXPORTER": "none", "OTEL_TRACES_EXPORTER": "none"}
    environment |= {"OTEL_LOGS_EXPORTER": "none"}
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)

    assert result.stdout == "EUR\n"
    (line,) = result.stderr.splitlines()
    assert line.startswith("prices=Prices(currency='USD'")
    assert "is not used, this process was configured with Prices(currency='EUR'" in line
