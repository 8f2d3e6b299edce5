"""Prices from the package genai-prices: of the provider that was asked, and of no one else."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.environments import environment

pytestmark = pytest.mark.models

PROGRAM = """
import json, sys
from genai_prices import Usage, calc_price
from otel_tutor.prices import Prices, Seller

prices = Prices.read(sys.argv[1], "prices")
tokens = {"input": 1000, "output": 100, "cache_read": 400}

def cost(model, **seller):
    return prices.cost(model, tokens, Seller(**seller))

usage = Usage(input_tokens=1000, output_tokens=100, cache_read_tokens=400)
print(json.dumps({
    "truth": float(calc_price(usage, "gpt-4o-mini", provider_id="openai").total_price),
    "by provider": cost("gpt-4o-mini", provider="openai"),
    "by address": cost("gpt-4o-mini", provider="openai", address="api.openai.com"),
    "a server of the same protocol": cost("gpt-4o-mini", provider="openai", address="127.0.0.1"),
    "by hand": cost("gpt-4o-mini"),
    "unknown": cost("tutor-chat-1", provider="openai"),
    "listed": cost("mine", provider="openai"),
}))
"""


def test_models_that_are_not_listed_have_the_prices_of_their_provider(tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text("currency: USD\nmodels: {mine: {input: 1, output: 2}}\nothers: genai-prices\n", encoding="utf-8")
    python = environment("models-prices", extras="http,prices")
    answer = subprocess.run([python, "-c", PROGRAM, str(file)], capture_output=True, text=True, check=True)
    costs = json.loads(answer.stdout)

    assert costs["by provider"] == costs["by address"] == costs["truth"] > 0
    assert costs["a server of the same protocol"] is costs["by hand"] is costs["unknown"] is None
    assert costs["listed"] == pytest.approx(1200 / 1e6)
