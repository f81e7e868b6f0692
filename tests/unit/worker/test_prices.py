"""What tokens cost."""

import pytest
from devteam_worker.prices import Price, Prices, claude, listed
from devteam_worker.providers.base import Usage
from devteam_worker.settings_sections import PriceSettings

USAGE = Usage(input_tokens=1_000_000, output_tokens=100_000, cache_read_tokens=500_000, cache_write_tokens=100_000)


def test_each_kind_of_token_has_its_price() -> None:
    price = Price(input=4.0, output=20.0, cache_read=0.4, cache_write=5.0)
    assert price.of(USAGE) == pytest.approx(0.4 * 4 + 0.1 * 20 + 0.5 * 0.4 + 0.1 * 5)


def test_a_model_that_nobody_knows_the_price_of_has_no_cost() -> None:
    assert Prices().priced("llama3.3", USAGE).cost_usd is None


def test_the_owner_goes_before_what_is_built_in() -> None:
    assert Prices().priced("claude-opus-5-5", USAGE).cost_usd == pytest.approx(claude(4, 20).of(USAGE))
    own = Prices({"claude-*": Price(1.0, 1.0, 1.0, 1.0), "llama*": Price(0.0, 0.0, 0.0, 0.0)})
    assert own.priced("claude-opus-5-5", USAGE).cost_usd == pytest.approx(1.1)
    assert own.priced("llama3.3", USAGE).cost_usd == 0.0


def test_costs_of_turns_add_up_as_far_as_they_are_known() -> None:
    assert (Usage() + Usage(1, 2, 3, 4, 0.5) + Usage(1, 2, 3, 4, 0.25)) == Usage(2, 4, 6, 8, 0.75)
    assert (Usage(1, cost_usd=0.5) + Usage(1)).cost_usd is None


def test_more_from_the_cache_than_was_read_costs_nothing_less() -> None:
    assert claude(4, 20).of(Usage(input_tokens=10, cache_read_tokens=1_000_000)) == pytest.approx(0.4)


def test_in_a_worker_file_the_cache_costs_what_the_input_does_unless_it_says_so() -> None:
    prices = listed({"llama*": PriceSettings(input=2.0, output=4.0, cache_read=0.5)})
    assert prices.priced("llama3.3", USAGE).cost_usd == pytest.approx(0.4 * 2 + 0.1 * 4 + 0.5 * 0.5 + 0.1 * 2)
