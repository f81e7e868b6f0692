"""Changes of keys on their way to watchers; whoever is too far behind is told everything anew."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from devteam.mesh.errors import Unavailable
from devteam_registry.keys.domain import Key


class KeyFeed:
    """The changes that one watcher has yet to see, at most `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: asyncio.Queue[Key | Unavailable | None] = asyncio.Queue()
        self._anew = False

    def offer(self, key: Key) -> None:
        """Add a change; one too many takes the place of all.

        Whoever has yet to be told everything anew is told of the change with it. Said again behind it, a key that was
        made and revoked meanwhile would be let in for a moment.
        """
        if self._anew:
            return
        if self._waiting.qsize() < self._limit:
            self._waiting.put_nowait(key)
        else:
            self._anew = True
            self._say_only(None)

    def end(self, error: Unavailable) -> None:
        """Drop whatever waits and let the watcher see `error` next."""
        self._say_only(error)

    async def next(self) -> Key | None:
        """The next change, once there is one; None: there were too many. Raises Unavailable at the end."""
        item = await self._waiting.get()
        if isinstance(item, Unavailable):
            raise item
        if item is None:
            self._anew = False
        return item

    def _say_only(self, item: Unavailable | None) -> None:
        while not self._waiting.empty():
            self._waiting.get_nowait()
        self._waiting.put_nowait(item)


class Watchers:
    """Hands every change to every watcher; each may be `limit` changes behind."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._feeds: set[KeyFeed] = set()
        self._stopped = False

    def publish(self, key: Key) -> None:
        """Offer a new or a revoked key to all."""
        for feed in self._feeds:
            feed.offer(key)

    @contextmanager
    def watching(self) -> Iterator[KeyFeed]:
        """A feed of everything published from now on. Raises Unavailable once stopped."""
        if self._stopped:
            raise _stopping()
        feed = KeyFeed(self._limit)
        self._feeds.add(feed)
        try:
            yield feed
        finally:
            self._feeds.discard(feed)

    def stop(self) -> None:
        """End every feed, now and from now on."""
        self._stopped = True
        for feed in self._feeds:
            feed.end(_stopping())


def _stopping() -> Unavailable:
    return Unavailable("the Registry is going down; watch again", reason="DRAINING")
