"""What tokens cost."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from types import MappingProxyType

from devteam_worker.providers.base import Usage
from devteam_worker.settings_sections import PriceSettings

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens. What is read from a cache, or written to it, has prices of its own."""

    input: float
    output: float
    cache_read: float
    cache_write: float

    def of(self, usage: Usage) -> float:
        """What it all costs, in US dollars."""
        # Some servers count what they had cached beside the input, not within it.
        plain = max(usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens, 0)
        cost = plain * self.input + usage.output_tokens * self.output
        return (
            cost + usage.cache_read_tokens * self.cache_read + usage.cache_write_tokens * self.cache_write
        ) / _MILLION


def claude(into: float, out: float) -> Price:
    """Reading Anthropic's cache costs a tenth of the input, writing it a quarter more."""
    return Price(into, out, into / 10, into * 1.25)


# As listed in November 2026; the owner's own go before them.
BUILT_IN: Mapping[str, Price] = MappingProxyType(
    {
        "claude-opus-5-5*": claude(4.0, 20.0),
        "claude-sonnet-5-5*": claude(2.0, 10.0),
        "claude-haiku-5-5*": claude(0.1, 0.5),
    }
)


class Prices:
    """A table of prices by patterns of models, named as their provider names them: the first that fits holds."""

    def __init__(self, own: Mapping[str, Price] = MappingProxyType({})) -> None:
        self._prices = {**own, **{pattern: price for pattern, price in BUILT_IN.items() if pattern not in own}}

    def priced(self, model: str, usage: Usage) -> Usage:
        """The same usage with its cost, if the price of the model is known."""
        price = next((price for pattern, price in self._prices.items() if fnmatchcase(model, pattern)), None)
        return usage if price is None else replace(usage, cost_usd=price.of(usage))


def listed(settings: Mapping[str, PriceSettings]) -> Prices:
    """The prices that the owner of the worker knows better."""
    return Prices({pattern: _price(said) for pattern, said in settings.items()})


def _price(said: PriceSettings) -> Price:
    read = said.input if said.cache_read is None else said.cache_read
    written = said.input if said.cache_write is None else said.cache_write
    return Price(said.input, said.output, read, written)
