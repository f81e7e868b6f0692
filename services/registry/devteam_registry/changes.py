"""Changes on their way to watchers: one bounded line per watcher, and nobody waits for a slow one."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar

from devteam.mesh.errors import DevTeamError, ResourceExhausted, Unavailable
from devteam_registry.domain import Change, Changed, Removed, Snapshot, WorkerView
from devteam_registry.routing import Routing

_Change = TypeVar("_Change")

_PART = 500


def _as_it_is(change: _Change) -> _Change | None:
    return change


class Feed(Generic[_Change]):
    """The changes that one watcher has yet to see; one that looks `closely` sees remarks too.

    `known`: a change as the watcher may know it; None: not at all.
    """

    def __init__(self, limit: int, known: Callable[[_Change], _Change | None], *, closely: bool) -> None:
        self.closely = closely
        self._known = known
        self._limit = limit
        self._waiting: asyncio.Queue[_Change | DevTeamError] = asyncio.Queue()

    def offer(self, change: _Change) -> bool:
        """Add a change. False when the watcher is too far behind; then the feed ends."""
        known = self._known(change)
        if known is None:
            return True
        if self._waiting.qsize() < self._limit:
            self._waiting.put_nowait(known)
            return True
        self.end(
            ResourceExhausted(
                f"the watcher fell {self._limit} changes behind; watch again for a new snapshot", reason="SLOW_CONSUMER"
            )
        )
        return False

    def end(self, error: DevTeamError) -> None:
        """Drop whatever waits and let the watcher see `error` next."""
        while not self._waiting.empty():
            self._waiting.get_nowait()
        self._waiting.put_nowait(error)

    async def next(self) -> _Change:
        """The next change, once there is one. Raises ResourceExhausted (SLOW_CONSUMER) or Unavailable at the end."""
        item = await self._waiting.get()
        if isinstance(item, DevTeamError):
            raise item
        return item


class Changes(Generic[_Change]):
    """Hands every change to every watcher; each may be `limit` changes behind."""

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._feeds: set[Feed[_Change]] = set()
        self._stopped = False

    def publish(self, change: _Change) -> None:
        """Offer `change` to all watchers; those that are too far behind are let go."""
        self._feeds -= {feed for feed in self._feeds if not feed.offer(change)}

    def remark(self, remark: Callable[[], _Change]) -> None:
        """Offer what is worth nobody's work, but a look: to those who look closely. Made only if there are any."""
        if feeds := {feed for feed in self._feeds if feed.closely}:
            change = remark()
            self._feeds -= {feed for feed in feeds if not feed.offer(change)}

    @contextmanager
    def subscribed(
        self, known: Callable[[_Change], _Change | None] = _as_it_is, *, closely: bool = False
    ) -> Iterator[Feed[_Change]]:
        """A feed of everything published from now on, as Feed. Raises Unavailable once stopped."""
        if self._stopped:
            raise _stopping()
        feed = Feed(self._limit, known, closely=closely)
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
        self._feeds.clear()


def snapshot_of(views: Sequence[WorkerView]) -> list[Snapshot]:
    """The views in parts, the last of them complete; one empty part when there is nobody."""
    starts = range(0, max(1, len(views)), _PART)
    return [Snapshot(tuple(views[at : at + _PART]), complete=at + _PART >= len(views)) for at in starts]


def seen_by(change: Change, whose: str) -> Change | None:
    """What those of one tenant may know of a change; None: nothing."""
    match change:
        case _ if not whose:
            return change
        case Changed(view):
            return change if view.worker.owner.seen_by(whose) else None
        case Removed(owner=owner):
            return change if owner.seen_by(whose) else None
        case Routing():
            return change.seen_by(whose)
    return change


def _stopping() -> Unavailable:
    return Unavailable("the Registry is going down; watch again", reason="DRAINING")
