"""Remembers the last things that were put in."""

from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Ring(Generic[K, V]):
    """A map that forgets its oldest entry once it holds more than `size`."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[K, V] = OrderedDict()

    def put(self, key: K, value: V) -> None:
        """Remember `value`, as the newest entry."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)

    def get(self, key: K) -> V | None:
        """What was put under `key`, if it is not forgotten."""
        return self._entries.get(key)

    def drop(self, key: K) -> None:
        """Forget what was put under `key`, if anything was."""
        self._entries.pop(key, None)

    def __contains__(self, key: K) -> bool:
        return key in self._entries
