"""What a call to a model costs, by the prices of `configure(prices=...)`: never guessed, and what is unknown is counted."""

from collections.abc import Mapping
from typing import Final

from otel_tutor import catalogue
from otel_tutor.prices import Prices, Seller
from otel_tutor.recording.instruments import SUCCESS, add, labels
from otel_tutor.recording.origin import endpoint_of, subject_of
from otel_tutor.recording.outcome import CANCELLED
from otel_tutor.recording.state import state
from otel_tutor.recording.values import to_name

__all__ = ["COST", "USAGE", "record_cost"]

# There is no convention for it yet; this is what OpenLIT writes and Langfuse reads.
COST: Final = "gen_ai.usage.cost"
USAGE: Final = {  # tokens by type
    "input": "gen_ai.usage.input_tokens",
    "output": "gen_ai.usage.output_tokens",
    "cache_read": "gen_ai.usage.cache_read.input_tokens",
    "cache_write": "gen_ai.usage.cache_creation.input_tokens",
    "reasoning": "gen_ai.usage.reasoning.output_tokens",
}


def record_cost(
    model: object, tokens: Mapping[str, float], outcome: object, seller: Seller, *, needed: tuple[str, ...]
) -> float | None:
    """Add the cost of a call. Returns it, or None where it is not known or where there are no prices.

    tokens: those that are known, by type. needed: the types without which the cost of a success is not known.
    """
    prices: Prices | None = state.settings.prices if state.settings else None
    if prices is None:
        return None
    name = to_name(model)
    cost = prices.cost(name, tokens, seller)
    if cost is None:
        _count_unknown(name, "price")
        return None
    of_call = ((catalogue.MODEL, name), (catalogue.SUBJECT, subject_of()), (catalogue.ROUTE, endpoint_of()))
    add(catalogue.MODEL_COST, cost, labels(*of_call, (catalogue.CURRENCY, prices.currency)))
    missing = {kind: 1.0 for kind in needed if kind not in tokens}
    # A failure without tokens was not answered, so not charged. Tokens that cost nothing need not be known.
    if missing and (outcome in {SUCCESS, CANCELLED} or tokens) and prices.cost(name, missing, seller):
        _count_unknown(name, "tokens")
        return None
    return cost


def _count_unknown(model: str, reason: str) -> None:
    add(catalogue.MODEL_COST_UNKNOWN, 1, labels((catalogue.MODEL, model), (catalogue.REASON, reason)))
