"""What everybody who looks at the page sees: the newest of everything, numbered by change.

A viewer is a number: the last change that it has been told. However slow it is, what it is told next is what holds now,
and nothing is kept for it.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Content: TypeAlias = Mapping[str, object]

_REMEMBERED_DROPS = 2_000


@dataclass(frozen=True, slots=True)
class News:
    """What has changed up to `version`: things by kind and id. With `fresh`, whatever is not named is not there."""

    version: int
    fresh: bool
    put: dict[str, dict[str, Content]] = field(default_factory=dict)
    dropped: dict[str, list[str]] = field(default_factory=dict)


class Board:
    """Things of several kinds, each under an id."""

    def __init__(self, remembered_drops: int = _REMEMBERED_DROPS) -> None:
        self._version = 0
        self._things: dict[str, dict[str, tuple[int, Content]]] = {}
        self._drops: deque[tuple[int, str, str]] = deque(maxlen=remembered_drops)
        # Whoever knows less than this has missed a drop that is no longer remembered.
        self._oldest = 0
        self._changed = asyncio.Event()

    def ids(self, kind: str) -> set[str]:
        """The ids of a kind."""
        return set(self._things.get(kind, {}))

    def get(self, kind: str, thing_id: str) -> Content | None:
        """One thing, or None."""
        known = self._things.get(kind, {}).get(thing_id)
        return known[1] if known else None

    def put(self, kind: str, thing_id: str, content: Content) -> None:
        """Show a thing as it is now; nothing is news that was known."""
        if self.get(kind, thing_id) == content:
            return
        self._things.setdefault(kind, {})[thing_id] = (self._next_version(), content)

    def drop(self, kind: str, thing_id: str) -> None:
        """Show a thing no longer. Harmless when it is not there."""
        if self._things.get(kind, {}).pop(thing_id, None) is None:
            return
        if len(self._drops) == self._drops.maxlen:
            self._oldest = self._drops[0][0]
        self._drops.append((self._next_version(), kind, thing_id))

    def clear(self) -> None:
        """Show nothing; who looks is told everything anew."""
        self._things.clear()
        self._drops.clear()
        self._oldest = self._next_version()

    def since(self, version: int) -> News:
        """What has changed after `version`; everything for 0 and for whoever stayed away too long."""
        fresh = version <= 0 or version < self._oldest
        after = 0 if fresh else version
        news = News(self._version, fresh)
        for kind, things in self._things.items():
            if put := {thing_id: content for thing_id, (changed, content) in things.items() if changed > after}:
                news.put[kind] = put
        for changed, kind, thing_id in () if fresh else self._drops:
            if changed > after and thing_id not in self._things.get(kind, {}):
                news.dropped.setdefault(kind, []).append(thing_id)
        return news

    async def changed(self, version: int) -> None:
        """Wait until there is something newer than `version`."""
        while self._version <= version:
            await self._changed.wait()

    def _next_version(self) -> int:
        self._version += 1
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        return self._version
