"""What models said, on its way to the store: one writer, which takes what has gathered, a bounded part at a time."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from devteam.mesh.clock import Clock
from devteam.mesh.errors import Aborted, Unavailable
from devteam.mesh.tasks import Backoff
from devteam_planner import fencing
from devteam_planner.bell import Bell
from devteam_planner.domain import Batch, WorkerInstance
from devteam_planner.ports import Entry, TokenStore

_log = structlog.get_logger()

# What a batch costs in memory beyond its payload, roughly.
_OVERHEAD_BYTES = 200
# SQLite is written to from the event loop, which a transaction of so many batches holds for some tens of milliseconds.
_MOST_BATCHES = 1_000

# A task and the number of one of its attempts.
_Key = tuple[str, int]


@dataclass(slots=True)
class _Group:
    """What goes into one transaction."""

    # When the first of them came, on the monotonic clock.
    since: float
    entries: list[Entry] = field(default_factory=list)
    # The plan of each attempt in it.
    plans: dict[_Key, str] = field(default_factory=dict)
    size: int = 0
    stored: asyncio.Event = field(default_factory=asyncio.Event)


def _size_of(batch: Batch) -> int:
    return len(batch.payload) + _OVERHEAD_BYTES


class _Tail:
    """The newest stored batches of one attempt, for watchers that keep up."""

    def __init__(self) -> None:
        self._batches: deque[Batch] = deque()
        self._size = 0

    def add(self, batch: Batch, limit: int) -> None:
        """Keep `batch`, and of the older ones as many as fit into `limit` bytes."""
        if self._batches and batch.first_seq != self._batches[-1].last_seq + 1:
            self._batches.clear()
            self._size = 0
        self._batches.append(batch)
        self._size += _size_of(batch)
        while self._size > limit and len(self._batches) > 1:
            self._size -= _size_of(self._batches.popleft())

    @property
    def last_seq(self) -> int:
        """The seq of the last token kept; 0 when there is none."""
        return self._batches[-1].last_seq if self._batches else 0

    def after(self, seq: int, limit: int) -> list[Batch]:
        """Up to `limit` batches with tokens after `seq`; none if the one that comes next is not among them."""
        if not self._batches or self._batches[0].first_seq > seq + 1:
            return []
        newer: deque[Batch] = deque(maxlen=limit)
        for batch in reversed(self._batches):
            if batch.last_seq <= seq:
                break
            newer.appendleft(batch)  # a full deque drops its last, so the oldest `limit` stay
        return list(newer)


class TokenLog:
    """Takes tokens from step drivers and hands them to watchers, once they are stored.

    While a transaction is under way the next one gathers; when nothing is, tokens are written at once. A transaction
    that is full is followed by another, and the loop is free in between. `on_stored` is told task, attempt and the last
    stored seq after each transaction; it must not wait and must not raise.
    """

    def __init__(
        self,
        store: TokenStore,
        bell: Bell,
        on_stored: Callable[[str, int, int], None],
        clock: Clock,
        *,
        max_pending_bytes: int = 8 * 1024 * 1024,
        tail_bytes: int = 64 * 1024,
    ) -> None:
        self._store = store
        self._bell = bell
        self._on_stored = on_stored
        self._clock = clock
        self._max_pending = max_pending_bytes
        self._tail_bytes = tail_bytes
        self._pending = 0
        self._room = asyncio.Event()
        # All but the last are full.
        self._gathering: deque[_Group] = deque()
        self._gathered = asyncio.Event()
        self._writing: _Group | None = None
        self._newest: dict[_Key, _Group] = {}
        self._tails: dict[_Key, _Tail] = {}
        # Attempts whose tokens the store refused, until whoever appended them has heard of it.
        self._fenced: set[_Key] = set()

    async def append(self, plan_id: str, task_id: str, attempt: int, worker: WorkerInstance, batch: Batch) -> None:
        """Hand over the next tokens of an attempt. Returns at once, unless too much waits for the store already.

        Raises Aborted once earlier ones were refused: the attempt is over, or another worker's.
        """
        if (task_id, attempt) in self._fenced:
            raise Aborted(f"attempt {attempt} of {task_id} is over, or another worker's", reason=fencing.FENCED)
        size = _size_of(batch)
        while self._pending and self._pending + size > self._max_pending:
            self._room.clear()
            await self._room.wait()
        self._pending += size
        key, group = (task_id, attempt), self._with_room()
        group.entries.append(Entry(task_id, attempt, worker, batch))
        group.plans[key] = plan_id
        group.size += size
        self._newest[key] = group
        self._tails.setdefault(key, _Tail())

    async def settle(self, task_id: str, attempt: int) -> int:
        """Wait until all that was appended for the attempt is stored or refused; returns the last stored seq.

        Raises Unavailable.
        """
        if group := self._newest.get((task_id, attempt)):
            await group.stored.wait()
        if (tail := self._tails.get((task_id, attempt))) and tail.last_seq:
            return tail.last_seq
        return await self._store.last_seq(task_id, attempt)

    async def read(self, task_id: str, attempt: int, after: int, limit: int) -> list[Batch]:
        """Up to `limit` batches, in order, that hold stored tokens after seq `after`. Raises Unavailable."""
        tail = self._tails.get((task_id, attempt))
        if tail and (batches := tail.after(after, limit)):
            return batches
        return await self._store.read(task_id, attempt, after=after, limit=limit)

    @property
    def pending_bytes(self) -> int:
        """What waits for the store, with what it costs in memory beyond the tokens themselves."""
        return self._pending

    def lag(self) -> float:
        """How many seconds the oldest tokens have waited for the store; 0 when none wait."""
        oldest = self._writing or next(iter(self._gathering), None)
        return self._clock.monotonic() - oldest.since if oldest else 0.0

    def follows(self, task_id: str, attempt: int) -> bool:
        """Whether tokens of the attempt pass through here, so that the bell tells of each."""
        return (task_id, attempt) in self._tails

    def forget(self, task_id: str, attempt: int) -> None:
        """Drop what is kept in memory of an attempt that nobody here appends to any more."""
        self._tails.pop((task_id, attempt), None)
        self._fenced.discard((task_id, attempt))

    async def run(self) -> None:
        """The one writer. Never returns; a store that is unavailable is tried again for ever, nothing is dropped."""
        backoff = Backoff(self._clock)
        while True:
            await self._gathered.wait()
            group = self._writing = self._taken()
            refused = await self._write(group, backoff)
            self._writing = None
            self._fence(refused)
            self._announce(group, refused)
            # Neither a store in memory nor what has gathered already makes this wait.
            await asyncio.sleep(0)

    def _with_room(self) -> _Group:
        if not self._gathering or len(self._gathering[-1].entries) >= _MOST_BATCHES:
            self._gathering.append(_Group(self._clock.monotonic()))
            self._gathered.set()
        return self._gathering[-1]

    def _taken(self) -> _Group:
        group = self._gathering.popleft()
        if not self._gathering:
            self._gathered.clear()
        return group

    async def _write(self, group: _Group, backoff: Backoff) -> list[Entry]:
        while True:
            try:
                refused = await self._store.append(group.entries)
            except Unavailable as error:
                _log.warning("tokens wait for the store", batches=len(group.entries), error=error.message)
                await backoff.pause()
            else:
                backoff.reset()
                return refused

    def _fence(self, refused: list[Entry]) -> None:
        for key, count in Counter((entry.task_id, entry.attempt) for entry in refused).items():
            fencing.refused("tokens", *key, count=count)
            if key in self._tails:
                self._fenced.add(key)

    def _announce(self, group: _Group, refused: list[Entry]) -> None:
        last: dict[_Key, int] = {}
        without = {id(entry) for entry in refused}
        for entry in group.entries:
            if id(entry) in without:
                continue
            key = (entry.task_id, entry.attempt)
            if tail := self._tails.get(key):
                tail.add(entry.batch, self._tail_bytes)
            last[key] = entry.batch.last_seq
        for key, plan_id in group.plans.items():
            if self._newest[key] is group:
                del self._newest[key]
            if key in last:
                self._on_stored(*key, last[key])
                self._bell.ring(plan_id, key[0])
        self._pending -= group.size
        if self._pending <= self._max_pending // 2:
            # Not for each transaction: all who wait wake up, and thousands may, of whom few would find room.
            self._room.set()
        group.stored.set()
