"""Who serves what, found by everyone alone."""

from collections import Counter

from devteam_planner.rendezvous import ranked

NAMES = ["http://router-1:7402", "http://router-2:7402", "http://router-3:7402"]
KEYS = [f"t-{number}" for number in range(3_000)]


def test_the_order_is_the_same_in_every_process_and_of_every_list() -> None:
    assert ranked("t-1", NAMES) == ranked("t-1", reversed(NAMES))
    assert [ranked(key, NAMES)[0][-6] for key in KEYS[:10]] == list("3331112333")


def test_keys_are_shared_out_evenly() -> None:
    first = Counter(ranked(key, NAMES)[0] for key in KEYS)
    second = Counter(ranked(key, NAMES)[1] for key in KEYS)
    assert all(900 < count[name] < 1_100 for count in (first, second) for name in NAMES)


def test_a_name_that_is_gone_moves_only_its_own_keys() -> None:
    for key in KEYS:
        order = ranked(key, NAMES)
        assert ranked(key, order[1:]) == order[1:]
