"""What Prometheus has of the second model is what its servers have served, over both workers."""

import asyncio
from collections.abc import Mapping

import httpx2
import pytest
import yaml

from otel_tutor.demo.app import PRICES
from otel_tutor.tools.exercise.load import run_load
from otel_tutor.tools.stack.polling import wait_for
from tests.support.stack import Running

OF_CHAT = 'model_name="tutor-chat-1"'


def test_calls_and_tokens_in_prometheus_equal_the_account(running: Running) -> None:
    def by(query: str, label: str) -> Mapping[str, int]:
        return {sample.labels[label]: int(sample.value) for sample in running.backends.query(query)}

    def counted() -> list[Mapping[str, int]]:
        return [
            by(f"sum by (status) (model_inference_total{{{OF_CHAT}}})", "status"),
            by(f"sum by (type) (model_token_count_sum{{{OF_CHAT}}})", "type"),
        ]

    def cost() -> float:
        return sum(sample.value for sample in running.backends.query(f"model_cost_total{{{OF_CHAT}}}"))

    asyncio.run(run_load(running.app, requests=1000, concurrency=16))
    account = httpx2.get(f"{running.app}/model/account", trust_env=False).json()
    (calls,) = account["calls"]
    served = [{"success": calls["count"]}, {row["type"]: row["count"] for row in account["tokens"]}]

    assert calls["status"] == "200"
    assert calls["count"] > 50
    assert wait_for(counted, lambda seen: seen == served, seconds=40) == served

    prices = yaml.safe_load(PRICES.read_text(encoding="utf-8"))["models"]["tutor-chat-1"]
    charged = sum(row["count"] * prices[row["type"]] / 1e6 for row in account["tokens"])
    assert cost() == pytest.approx(charged, rel=1e-9)
    assert running.backends.query("model_cost_unknown_total") == []
