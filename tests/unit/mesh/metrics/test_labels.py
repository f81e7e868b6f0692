"""Series stay few, whatever callers name."""

from devteam.mesh import names
from devteam.mesh.metrics import catalog
from devteam.mesh.metrics.instruments import count, expect, record
from devteam.mesh.metrics.labels import OTHER, Bounded, Labels
from devteam.mesh.metrics.observables import merged
from devteam.mesh.metrics.readings import Reading
from tests.fakes.scrape import metered, scraped


def test_the_first_values_are_told_apart_and_the_later_ones_are_other() -> None:
    bounded = Bounded(2)
    assert [bounded.of(name) for name in ("a", "b", "c", "a", "d", "b")] == ["a", "b", OTHER, "a", OTHER, "b"]
    assert bounded.known == ["a", "b"]


def test_a_very_long_name_is_cut() -> None:
    bounded = Bounded(2)
    assert bounded.of("x" * 1000) == "x" * 128
    assert bounded.of("x" * 2000) == "x" * 128


def test_a_model_counts_once_under_whatever_label_it_comes() -> None:
    labels = Labels()
    for number in range(100):
        labels.of("model", f"m{number}")
    assert labels.of(names.GEN_AI_REQUEST_MODEL, "m7") == "m7"
    assert labels.of(names.GEN_AI_REQUEST_MODEL, "m100") == OTHER


def test_what_is_no_name_of_callers_is_left_as_it_is() -> None:
    labels = Labels()
    assert {labels.of("state", str(number)) for number in range(1000)} == {str(number) for number in range(1000)}


async def test_ten_thousand_models_make_a_hundred_and_one_series() -> None:
    async with metered():
        for number in range(10_000):
            count(catalog.COST_USD, 0.5, f"m{number}")
            record(catalog.TIME_TO_FIRST_TOKEN, 0.1, f"m{number}")
        scrape = await scraped()
    costs = scrape.of("devteam_cost_usd_total", "model")
    assert len(costs) == len(scrape.of("devteam_time_to_first_token_seconds_count", "model")) == 101
    assert (sum(costs.values()), costs["m0"], costs[OTHER]) == (5_000.0, 0.5, 4_950.0)


async def test_models_that_nothing_is_known_of_take_half_of_the_places() -> None:
    async with metered():
        for number in range(10_000):
            expect(catalog.TOKENS, f"made-up-{number}", "input")
        for number in range(60):
            count(catalog.COST_USD, 0.5, f"m{number}")
        expect(catalog.TOKENS, "m49", "input")
        expect(catalog.TOKENS, "m50", "input")
        scrape = await scraped()
    expected = scrape.of("devteam_tokens_total", "model")
    assert len(expected) == 51
    assert set(expected.values()) == {0}
    assert "m49" in expected
    assert len(scrape.of("devteam_cost_usd_total", "model")) == 51  # 50 of them, and the others


def test_values_of_the_same_labels_are_added_up_or_the_largest_holds() -> None:
    readings = [
        Reading(catalog.QUEUE_DEPTH, 2, ("a",)),
        Reading(catalog.QUEUE_DEPTH, 3, ("a",)),
        Reading(catalog.QUEUE_OLDEST_WAIT, 2.0, ("a",)),
        Reading(catalog.QUEUE_OLDEST_WAIT, 1.0, ("a",)),
        Reading(catalog.ROUTERS, 1),
    ]
    found = merged(readings, Labels())
    assert found == {
        catalog.QUEUE_DEPTH: {("a",): 5},
        catalog.QUEUE_OLDEST_WAIT: {("a",): 2.0},
        catalog.ROUTERS: {(): 1},
    }


def test_a_queue_that_was_seen_once_stays_with_nothing_in_it() -> None:
    labels = Labels()
    merged([Reading(catalog.QUEUE_DEPTH, 5, ("gone",)), Reading(catalog.ROUTERS, 1)], labels)
    found = merged([Reading(catalog.QUEUE_DEPTH, 1, ("here",)), Reading(catalog.ROUTERS, 1)], labels)
    assert found[catalog.QUEUE_DEPTH] == {("here",): 1, ("gone",): 0}


def test_nothing_is_made_up_of_a_part_that_did_not_answer() -> None:
    labels = Labels()
    merged([Reading(catalog.QUEUE_DEPTH, 5, ("gone",))], labels)
    assert merged([], labels) == {}
