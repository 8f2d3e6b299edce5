"""What models charge: read from a YAML file or a mapping, checked before anything starts.

currency: USD
models:                       # for a million tokens
  gpt-5-mini: {input: 0.25, output: 2.00, cache_read: 0.025}
  llama-3*: {input: 0, output: 0}   # its own machine
others: genai-prices          # optional: what the package of this name knows, in USD
"""

import importlib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from otel_tutor.errors import ConfigurationError, refusing

__all__ = ["TOKEN_TYPES", "Prices", "Seller"]

TOKEN_TYPES: Final = ("input", "output", "cache_read", "cache_write", "reasoning")
# The conventions' sums: tokens of the cache are part of the input, those of reasoning part of the output. Without a price of
# their own they cost as much as the whole.
_PARTS: Final = {"cache_read": "input", "cache_write": "input", "reasoning": "output"}
_MILLION: Final = 1_000_000
_OTHERS: Final = "genai-prices"
_KEYS: Final = ("currency", "models", "others")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seller:
    """Who is paid for a call, as far as it is known. provider: as in `gen_ai.provider.name`. address: the server's host."""

    provider: str | None = None
    address: str | None = None


_AskOthers = Callable[[str, Mapping[str, float], Seller], float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Prices in one currency. models: by name or pattern, then by type of token, for a million of them."""

    currency: str
    models: Mapping[str, Mapping[str, float]]
    ask_others: _AskOthers | None = field(default=None, compare=False, repr=False)

    @classmethod
    def read(cls, source: str | Path | Mapping[str, Any], name: str) -> "Prices":
        """Prices of a file, or of a mapping like one. `name` is what it was set by.

        Raises ConfigurationError for what is no list of prices.
        """
        with refusing(name):
            return cls._read(source, name)

    @classmethod
    def _read(cls, source: str | Path | Mapping[str, Any], name: str) -> "Prices":
        content = source if isinstance(source, Mapping) else _load(source, name)
        if not isinstance(content, Mapping) or not content.keys() <= set(_KEYS):
            unknown = min(map(str, content.keys() - set(_KEYS))) if isinstance(content, Mapping) else type(content).__name__
            raise ConfigurationError(f"{name}: {unknown!r} is not expected: use the keys {', '.join(_KEYS)}")
        currency, models, others = content.get("currency"), content.get("models"), content.get("others")
        if not isinstance(currency, str) or not re.fullmatch("[A-Z]{3}", currency):
            raise ConfigurationError(f"{name}: currency={currency!r} is not a currency: use its three letters, e.g. USD")
        if not isinstance(models or {}, Mapping):
            raise ConfigurationError(f"{name}: models={models!r} is not a mapping: use e.g. 'gpt-5-mini: {{input: 0.25}}'")
        if others is not None and (others, currency) != (_OTHERS, "USD"):
            raise ConfigurationError(f"{name}: others={others!r} is not supported for {currency}: use {_OTHERS} with USD")
        return cls(
            currency=currency,
            models={str(model): _of_model(model, prices, name) for model, prices in (models or {}).items()},
            ask_others=None if others is None else _genai_prices(name),
        )

    def cost(self, model: str, tokens: Mapping[str, float], seller: Seller) -> float | None:
        """What these tokens cost; None where the model has no price."""
        prices = self._of(model)
        if prices is None:
            return self.ask_others(model, tokens, seller) if self.ask_others else None
        return sum(count * prices[kind] for kind, count in _apart(tokens).items()) / _MILLION

    def _of(self, model: str) -> Mapping[str, float] | None:
        """The prices of the model's name, else of the first pattern that it fits."""
        exact = self.models.get(model)
        if exact is not None:
            return exact
        return next((prices for pattern, prices in self.models.items() if fnmatchcase(model, pattern)), None)


def _apart(tokens: Mapping[str, float]) -> dict[str, float]:
    """Each token once: those of the cache and of reasoning taken out of the sums that they are part of."""
    apart = {kind: tokens.get(kind, 0) for kind in TOKEN_TYPES}
    for part, whole in _PARTS.items():
        apart[part] = min(apart[part], apart[whole])
        apart[whole] -= apart[part]
    return apart


def _of_model(model: object, prices: object, name: str) -> dict[str, float]:
    if not isinstance(prices, Mapping) or not prices:
        raise ConfigurationError(f"{name}: {model}={prices!r} has no prices: use e.g. {{input: 0.25, output: 2}}")
    for kind, price in prices.items():
        if kind not in TOKEN_TYPES:
            raise ConfigurationError(f"{name}: {model} has {kind!r}, no type of token: use {', '.join(TOKEN_TYPES)}")
        if isinstance(price, bool) or not isinstance(price, int | float) or not 0 <= price < math.inf:
            raise ConfigurationError(f"{name}: {model} has {kind}={price!r}, no price: use a number from 0, for a million")
    if missing := {"input", "output"} - prices.keys():
        raise ConfigurationError(f"{name}: {model} has no price for {min(missing)}: add one; 0 is a price")
    return {kind: float(prices.get(kind, prices[_PARTS.get(kind, kind)])) for kind in TOKEN_TYPES}


def _load(source: object, name: str) -> Any:
    if not isinstance(source, str | Path):
        raise ConfigurationError(f"{name}={source!r} is no list of prices: pass the path of a YAML file, or a mapping")
    yaml = _package("yaml", "pyyaml", name)
    try:
        return yaml.safe_load(Path(source).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ConfigurationError(f"{name}={str(source)!r} cannot be read ({reason}): name a YAML file of prices") from None
    except yaml.YAMLError as error:
        at = getattr(error, "problem_mark", None)
        where = f" in line {at.line + 1}" if at else ""
        raise ConfigurationError(f"{name}={str(source)!r} is not YAML{where}: correct it") from None


def _package(module: str, package: str, name: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ConfigurationError(f"{name} needs the package {package}: pip install 'otel-tutor[prices]'") from None


def _genai_prices(name: str) -> _AskOthers:
    package = _package("genai_prices", _OTHERS, name)

    def ask(model: str, tokens: Mapping[str, float], seller: Seller) -> float | None:
        """The price of the server that was asked, else of the provider. Without either nothing is known of who is paid."""
        where: dict[str, str] = {}
        if seller.address:
            where = {"provider_api_url": f"https://{seller.address}"}
        elif seller.provider:
            where = {"provider_id": seller.provider}
        usage = {f"{kind}_tokens": int(tokens.get(kind, 0)) for kind in ("input", "output", *_PARTS) if kind != "reasoning"}
        try:
            return float(package.calc_price(package.Usage(**usage), model, **where).total_price) if where else None
        except LookupError:
            return None

    return ask
