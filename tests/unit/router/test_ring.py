"""A memory with an end."""

from devteam_router.ring import Ring


def test_the_oldest_entry_is_forgotten_first() -> None:
    ring: Ring[str, int] = Ring(2)
    for number, key in enumerate("abc"):
        ring.put(key, number)
    assert [ring.get(key) for key in "abc"] == [None, 1, 2]
    assert ["a" in ring, "c" in ring] == [False, True]


def test_what_is_put_again_is_new_again() -> None:
    ring: Ring[str, int] = Ring(2)
    for number, key in enumerate("abac"):
        ring.put(key, number)
    assert [ring.get(key) for key in "abc"] == [2, None, 3]
