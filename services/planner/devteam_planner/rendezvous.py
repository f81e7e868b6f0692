"""Who serves what, agreed upon without a word: every Planner that knows the same names finds the same order."""

from collections.abc import Iterable
from hashlib import blake2b


def ranked(key: str, names: Iterable[str]) -> list[str]:
    """The names in the order in which they are to serve `key`.

    Each key has an order of its own, so keys are shared out evenly. A name that is gone moves only the keys that it
    was first for.
    """
    return sorted(names, key=lambda name: blake2b(f"{name} {key}".encode(), digest_size=8).digest(), reverse=True)
